// Taking turns, attempts and their ends.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, SendsWhatMatchedUpToItsCapacity) {
  Add("a");
  engine_->SetCapacity(2, now(), out_);
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1"}));
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
}

TEST_F(EngineTest, HoldsToTheSubscriptionsOwnLimit) {
  DeliverySettings settings;
  settings.in_flight_max = 1;
  Add("a", settings);
  Add("b");
  engine_->Matched({{"a", {1, wall_}}, {"b", {1, wall_}}, {"a", {2, wall_}}, {"b", {2, wall_}}}, 2,
                   now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "b-1#1", "b-2#1"}));
}

TEST_F(EngineTest, OverflowTurnsIntoScansAndComesBackToTheHead) {
  Add("a");
  for (Sequence s = 1; s <= 1500; ++s) Append("a", s);
  EXPECT_TRUE(engine_->Progress("a")->catching_up);
  EXPECT_EQ(engine_->Progress("a")->waiting, 1024u);
  engine_->SetCapacity(64, now(), out_);
  Sequence delivered = 0;
  while (delivered < 1500) {
    ASSERT_FALSE(out_.sends.empty());
    const auto sends = std::exchange(out_.sends, {});
    for (const SendOrder& order : sends) {
      ASSERT_EQ(order.key.sequence, ++delivered);
      Finish("a", order.key.sequence, 1, DeliveryOutcome::kSucceeded);
    }
    for (const ScanOrder& scan : std::exchange(out_.scans, {})) {
      std::vector<Position> positions;
      Sequence next = scan.from;
      while (next <= scan.to && positions.size() < scan.positions_max) {
        positions.push_back({next++, wall_});
      }
      engine_->Scanned("a", positions, next, now(), out_);
    }
  }
  EXPECT_FALSE(engine_->Progress("a")->catching_up);
  EXPECT_EQ(engine_->Progress("a")->floor, 1500u);
}

TEST_F(EngineTest, PausedSendsNothingAndGoesOnWhereItStopped) {
  DeliverySettings settings;
  settings.paused = true;
  Add("a", settings);
  Append("a", 1);
  EXPECT_EQ(TakeSends(), Sends{});
  engine_->ChangeSettings("a", {}, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1"}));
}

TEST_F(EngineTest, RemovingCancelsAndDropsLateResults) {
  Add("a");
  Append("a", 1);
  engine_->Remove("a", now(), out_);
  ASSERT_EQ(out_.cancels.size(), 1u);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(engine_->counters().unknown_results, 1u);
  EXPECT_EQ(engine_->in_flight(), 0u);
  EXPECT_EQ(Flush().forgotten, (std::vector<std::string>{"a"}));
}

TEST_F(EngineTest, ALateResultOfAnEarlierAttemptIsDropped) {
  Add("a");
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  Advance(10s);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(engine_->counters().unknown_results, 1u);
  EXPECT_EQ(engine_->in_flight(), 1u);
}

TEST_F(EngineTest, AResultComesInOnlyOnce) {
  Add("a");
  Append("a", 1);
  Succeed("a", 1);
  Succeed("a", 1);
  EXPECT_EQ(counters().succeeded, 1u);
  EXPECT_EQ(counters().unknown_results, 1u);
}

TEST_F(EngineTest, AnAttemptWhoseOutcomeIsUnknownHasItsOwnNumber) {
  Add("a");
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kUnknown);
  Advance(10s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-1#2"}));
  Succeed("a", 1, 1);  // Of the attempt that was lost.
  EXPECT_EQ(counters().unknown_results, 1u);
  EXPECT_EQ(engine_->in_flight(), 1u);
}

TEST_F(EngineTest, SaysWhereADeliveryIs) {
  EXPECT_EQ(engine_->Find({"a", 1}), std::nullopt);
  DeliverySettings settings;
  settings.in_flight_max = 1;
  Add("a", settings);
  const auto place = [&](Sequence s) { return engine_->Find({"a", s})->place; };
  EXPECT_EQ(place(1), DeliveryPlace::kNotReached);
  Append("a", 1);
  Append("a", 2);
  EXPECT_EQ(place(1), DeliveryPlace::kInFlight);
  EXPECT_EQ(place(2), DeliveryPlace::kWaiting);
  Fail("a", 1);
  EXPECT_EQ(place(1), DeliveryPlace::kRetrying);
  EXPECT_EQ(engine_->Find({"a", 1})->log.size(), 1u);
  EXPECT_GT(*engine_->Find({"a", 1})->due, wall_);
  Succeed("a", 2);
  EXPECT_EQ(place(2), DeliveryPlace::kDone);
}

TEST_F(EngineTest, SaysHowManyADeliversASecondAndWhatIsOldest) {
  Add("a");
  for (Sequence s = 1; s <= 60; ++s) Append("a", s);
  for (Sequence s = 2; s <= 60; ++s) Succeed("a", s);
  EXPECT_NEAR(Progress("a").delivered_per_second, 59.0 / 60, 1e-9);
  EXPECT_EQ(Progress("a").oldest_pending, wall_);
  Advance(2min);
  EXPECT_EQ(Progress("a").delivered_per_second, 0);
}

TEST_F(EngineTest, SaysWhyNothingIsSent) {
  Add("a");
  EXPECT_EQ(Progress("a").block, LaneBlock::kNone);
  engine_->SetCapacity(0, now(), out_);
  EXPECT_EQ(Progress("a").block, LaneBlock::kNoExecutor);
}

}  // namespace
}  // namespace penstock::broker
