// Turns between subscriptions and spaces, and clocks that jump.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

DeliverySettings InSpace(const std::string& space) {
  DeliverySettings settings;
  settings.space = space;
  settings.in_flight_max = 1000;
  return settings;
}

TEST_F(EngineTest, SubscriptionsOfASpaceTakeTurnsByBytes) {
  EngineOptions options;
  options.quantum_bytes = 612;  // One delivery of 100 bytes.
  Begin(options, 0);
  Add("a");
  Add("b");
  for (Sequence s = 1; s <= 4; ++s) Append("a", s);
  for (Sequence s = 5; s <= 6; ++s) Append("b", s);
  engine_->SetCapacity(6, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "b-5#1", "a-2#1", "b-6#1", "a-3#1", "a-4#1"}));
}

TEST_F(EngineTest, LargeEventsCountAsManySmallOnes) {
  EngineOptions options;
  options.quantum_bytes = 1024;
  Begin(options, 0);
  Add("big", InSpace("s"));
  Add("small", InSpace("t"));
  for (Sequence s = 1; s <= 100; ++s) {
    engine_->Matched({{"big", {s, wall_, 0, 9 * 1024 + 512}}, {"small", {s, wall_, 0, 512}}}, s,
                     now(), out_);
  }
  engine_->SetCapacity(7, now(), out_);
  std::map<std::string, int> sent;
  for (int i = 0; i < 55; ++i) {
    ASSERT_FALSE(out_.sends.empty());
    const SendOrder order = out_.sends.front();
    out_.sends.erase(out_.sends.begin());
    ++sent[order.key.uid];
    Succeed(order.key.uid, order.key.sequence);
  }
  EXPECT_NEAR(sent["small"], 50, 2);
  EXPECT_NEAR(sent["big"], 5, 2);
}

TEST_F(EngineTest, ASpaceThatHangsLeavesRoomForOthers) {
  Add("hangs", InSpace("s"));
  for (Sequence s = 1; s <= 500; ++s) Append("hangs", s);
  EXPECT_EQ(TakeSends().size(), 75u);  // Never more than three quarters.
  Add("other", InSpace("t"));
  for (Sequence s = 501; s <= 600; ++s) Append("other", s);
  EXPECT_EQ(TakeSends().size(), 25u);
  for (Sequence s = 501; s <= 510; ++s) Succeed("other", s);
  for (const std::string& sent : TakeSends()) EXPECT_EQ(sent.substr(0, 5), "other");
}

TEST_F(EngineTest, ASpaceAboveItsShareWaitsForThoseBelow) {
  Add("a", InSpace("s"));
  for (Sequence s = 1; s <= 200; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 75u);
  Add("b", InSpace("t"));
  for (Sequence s = 201; s <= 400; ++s) Append("b", s);
  EXPECT_EQ(TakeSends().size(), 25u);
  // While b is below its quarter it comes first; a has more than its own.
  Succeed("b", 201);
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"b-226#1", "b-227#1"}));
}

TEST_F(EngineTest, ASmallCapacityIsNotShared) {
  Begin({}, 7);
  Add("a", InSpace("s"));
  for (Sequence s = 1; s <= 20; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 7u);
}

TEST_F(EngineTest, ARestoredRowWaitsAtMostItsStoredDelayAfterAClockJump) {
  RetryRow row;
  row.position = {1, wall_};
  row.age_from = wall_;
  row.attempts_made = 1;
  row.delay = 1s;
  row.due = wall_ + 5h;
  Restart({}, 1);
  engine_->Restore("a", {}, nullptr, {row}, now(), out_);
  engine_->SetCapacity(1, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, AClockThatJumpsNeitherHurriesNorStopsARetry) {
  for (const Microseconds jump : {Microseconds(5h), Microseconds(-10h)}) {
    Begin({});
    DeliverySettings settings;
    settings.retry.jitter = 0;
    Add("a", settings);
    Append("a", 1);
    Fail("a", 1);
    TakeSends();
    wall_ += jump;
    Advance(999ms);
    EXPECT_EQ(TakeSends(), Sends{});
    Advance(1ms);
    EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
  }
}

TEST_F(EngineTest, ARateDoesNotFollowTheWallClock) {
  DeliverySettings settings;
  settings.rate = RateLimit{1, 1};
  Add("a", settings);
  for (Sequence s = 1; s <= 5; ++s) Append("a", s);
  TakeSends();
  wall_ += 5h;
  engine_->Tick(now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  EXPECT_EQ(TakeSends().size(), 1u);
}

TEST_F(EngineTest, NoWakeIsAskedForThatDoesNothing) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.age_max = 1h;
  settings.rate = RateLimit{1, 1};
  Add("a", settings);
  for (Sequence s = 1; s <= 5; ++s) Append("a", s);
  for (int i = 0; i < 20; ++i) {
    Flush();
    ASSERT_TRUE(out_.wake_at);
    ASSERT_GT(*out_.wake_at, monotonic_);
    Advance(*out_.wake_at - monotonic_);
    for (const SendOrder& order : std::exchange(out_.sends, {})) {
      Fail("a", order.key.sequence, order.attempt);
    }
  }
}

}  // namespace
}  // namespace penstock::broker
