#include "services/event-broker/domain/delivery/engine.h"

#include <gtest/gtest.h>

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// Drives the engine by hand: every test step is one input.
class EngineTest : public testing::Test {
 protected:
  EngineTime now() const { return {wall_, monotonic_}; }
  void Advance(Microseconds by) {
    wall_ += by;
    monotonic_ += by;
  }
  void AddSubscription(const std::string& uid, DeliverySettings settings = {}) {
    engine_.Add(uid, settings, now(), out_);
  }
  void Append(const std::string& uid, Sequence sequence) {
    engine_.Matched({{uid, {sequence, wall_}}}, sequence, now(), out_);
  }
  void Finish(const std::string& uid, Sequence sequence, int attempt, DeliveryOutcome outcome,
              std::optional<Microseconds> retry_after = {}) {
    DeliveryResult result;
    result.key = {uid, sequence};
    result.attempt = attempt;
    result.outcome = outcome;
    result.error = {"FunctionError", "Boom", "it broke"};
    result.retry_after = retry_after;
    engine_.Finished({result}, now(), out_);
  }
  std::vector<std::string> TakeSends() {
    std::vector<std::string> sends;
    for (const SendOrder& order : out_.sends) {
      sends.push_back(order.key.Id() + "#" + std::to_string(order.attempt));
    }
    out_.sends.clear();
    return sends;
  }
  // Commits what there is; dead letters of several transactions come together.
  StateTransaction Flush() {
    std::vector<DeadDelivery> dead;
    StateTransaction last;
    while (true) {
      if (!out_.transaction) engine_.Flush(now(), out_);
      if (!out_.transaction) break;
      last = *std::exchange(out_.transaction, std::nullopt);
      dead.insert(dead.end(), last.dead.begin(), last.dead.end());
      engine_.Persisted(now(), out_);
    }
    last.dead = std::move(dead);
    return last;
  }

  DeliveryEngine engine_{EngineOptions{}, 0};
  EngineOutput out_;
  WallTime wall_ = FromUnixMicros(1'700'000'000'000'000);
  MonotonicTime monotonic_{1h};
};

using Sends = std::vector<std::string>;

TEST_F(EngineTest, SendsWhatMatchedUpToItsCapacity) {
  AddSubscription("a");
  engine_.SetCapacity(2, now(), out_);
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1"}));
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
}

TEST_F(EngineTest, HoldsToTheSubscriptionsOwnLimit) {
  DeliverySettings settings;
  settings.in_flight_max = 1;
  AddSubscription("a", settings);
  AddSubscription("b");
  engine_.SetCapacity(10, now(), out_);
  engine_.Matched({{"a", {1, wall_}}, {"b", {1, wall_}}, {"a", {2, wall_}}, {"b", {2, wall_}}}, 2,
                  now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "b-1#1", "b-2#1"}));
}

TEST_F(EngineTest, TakesTurnsBetweenSubscriptions) {
  AddSubscription("a");
  AddSubscription("b");
  std::vector<DeliveryEngine::Match> matches;
  for (Sequence s = 1; s <= 3; ++s) matches.push_back({"a", {s, wall_}});
  matches.push_back({"b", {3, wall_}});
  engine_.Matched(matches, 3, now(), out_);
  engine_.SetCapacity(2, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "b-3#1"}));
}

TEST_F(EngineTest, RetriesAfterTheDelayWithTheSameKeyAndTheNextAttempt) {
  DeliverySettings settings;
  settings.retry.jitter = 0;
  AddSubscription("a", settings);
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  TakeSends();
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(999ms);
  engine_.Tick(now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1ms);
  engine_.Tick(now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, HonoursRetryAfterWhenItIsLonger) {
  AddSubscription("a");
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  TakeSends();
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 30s);
  Advance(29s);
  engine_.Tick(now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  engine_.Tick(now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, ExhaustedAttemptsBecomeADeadLetterWithTheirLog) {
  DeliverySettings settings;
  settings.retry.attempts_max = 2;
  AddSubscription("a", settings);
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  Advance(10s);
  engine_.Tick(now(), out_);
  Finish("a", 1, 2, DeliveryOutcome::kRetryable);
  const StateTransaction transaction = Flush();
  ASSERT_EQ(transaction.dead.size(), 1u);
  EXPECT_EQ(transaction.dead[0].reason, DeadReason::kAttemptsExhausted);
  EXPECT_EQ(transaction.dead[0].attempts, 2);
  EXPECT_EQ(transaction.dead[0].log.size(), 2u);
  EXPECT_EQ(transaction.matched_through, 1u);
}

TEST_F(EngineTest, APermanentFailureIsNotTriedAgain) {
  AddSubscription("a");
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kPermanent);
}

TEST_F(EngineTest, GivesUpWhenTheNextAttemptWouldBeTooOld) {
  DeliverySettings settings;
  settings.retry.age_max = 5s;
  AddSubscription("a", settings);
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 6s);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExpired);
}

TEST_F(EngineTest, ARejectionConsumesNoAttempt) {
  DeliverySettings settings;
  settings.retry.attempts_max = 1;
  AddSubscription("a", settings);
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  TakeSends();
  for (int i = 0; i < 5; ++i) {
    Finish("a", 1, 1, DeliveryOutcome::kRejected);
    Advance(10s);
    engine_.Tick(now(), out_);
    ASSERT_EQ(TakeSends(), (Sends{"a-1#1"}));
  }
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_TRUE(Flush().dead.empty());
}

TEST_F(EngineTest, ThreeLostStreamsCountAsOneFailedAttempt) {
  DeliverySettings settings;
  settings.retry.attempts_max = 1;
  AddSubscription("a", settings);
  engine_.SetCapacity(1, now(), out_);
  Append("a", 1);
  for (int i = 0; i < 3; ++i) {
    Finish("a", 1, 1, DeliveryOutcome::kUnknown);
    Advance(10s);
    engine_.Tick(now(), out_);
  }
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExecutorLost);
}

TEST_F(EngineTest, TheFloorStaysBelowWhatIsNotDone) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  Finish("a", 3, 1, DeliveryOutcome::kSucceeded);
  const StateTransaction transaction = Flush();
  ASSERT_TRUE(transaction.cursors.contains("a"));
  EXPECT_EQ(transaction.cursors.at("a").floor, 1u);
  EXPECT_EQ(transaction.cursors.at("a").acked, (std::vector<Sequence>{3}));
  EXPECT_EQ(engine_.lowest_needed(), 2u);
}

TEST_F(EngineTest, ARowLetsTheFloorPassInTheSameTransaction) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  const StateTransaction transaction = Flush();
  EXPECT_TRUE(transaction.cursors.empty());
  ASSERT_EQ(transaction.rows.size(), 1u);
  EXPECT_EQ(transaction.rows[0].second.position.sequence, 1u);
  EXPECT_EQ(transaction.matched_through, 1u);
  EXPECT_EQ(engine_.lowest_needed(), 1u);
}

TEST_F(EngineTest, OnlyOneTransactionIsOnItsWayAtATime) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  engine_.Flush(now(), out_);
  ASSERT_TRUE(out_.transaction);
  out_.transaction.reset();
  Append("a", 2);
  Advance(1s);
  engine_.Tick(now(), out_);
  EXPECT_FALSE(out_.transaction);
  engine_.Persisted(now(), out_);
  EXPECT_TRUE(out_.transaction);
}

TEST_F(EngineTest, OverflowTurnsIntoScansAndComesBackToTheHead) {
  AddSubscription("a");
  for (Sequence s = 1; s <= 1500; ++s) Append("a", s);
  EXPECT_TRUE(engine_.Progress("a")->catching_up);
  EXPECT_EQ(engine_.Progress("a")->waiting, 1024u);
  engine_.SetCapacity(64, now(), out_);
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
      engine_.Scanned("a", positions, next, now(), out_);
    }
  }
  EXPECT_FALSE(engine_.Progress("a")->catching_up);
  EXPECT_EQ(engine_.Progress("a")->floor, 1500u);
}

TEST_F(EngineTest, PausedSendsNothingAndGoesOnWhereItStopped) {
  DeliverySettings settings;
  settings.paused = true;
  AddSubscription("a", settings);
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  EXPECT_EQ(TakeSends(), Sends{});
  engine_.ChangeSettings("a", {}, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1"}));
}

TEST_F(EngineTest, RemovingCancelsAndDropsLateResults) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  engine_.Remove("a", now(), out_);
  ASSERT_EQ(out_.cancels.size(), 1u);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(engine_.counters().unknown_results, 1u);
  EXPECT_EQ(engine_.in_flight(), 0u);
  EXPECT_EQ(Flush().forgotten, (std::vector<std::string>{"a"}));
}

TEST_F(EngineTest, ARedrivenDeadLetterStartsAnewAndGoesWhenItIsDelivered) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Flush();
  TakeSends();
  RetryRow row;
  row.position = {1, wall_};
  row.redrives = 1;
  ASSERT_TRUE(engine_.Redrive("a", row, now(), out_));
  ASSERT_EQ(out_.sends.size(), 1u);
  EXPECT_TRUE(out_.sends[0].redriven);
  EXPECT_EQ(out_.sends[0].attempt, 1);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  const StateTransaction transaction = Flush();
  EXPECT_EQ(transaction.dead_removed, (std::vector<DeliveryKey>{{"a", 1}}));
}

TEST_F(EngineTest, ALateResultOfAnEarlierAttemptIsDropped) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  Advance(10s);
  engine_.Tick(now(), out_);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(engine_.counters().unknown_results, 1u);
  EXPECT_EQ(engine_.in_flight(), 1u);
}

TEST_F(EngineTest, ARestoredRowWaitsAtMostItsStoredDelayAfterAClockJump) {
  RetryRow row;
  row.position = {1, wall_};
  row.age_from = wall_;
  row.attempts_made = 1;
  row.delay = 1s;
  row.due = wall_ + 5h;
  DeliveryEngine engine({}, 1);
  engine.Restore("a", {}, nullptr, {row}, now(), out_);
  engine.SetCapacity(1, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  engine.Tick(now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, WithNothingToDoItAsksForNoWake) {
  AddSubscription("a");
  engine_.SetCapacity(10, now(), out_);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  EXPECT_TRUE(out_.wake_at.has_value());  // The retry, and the flush.
  Flush();
  Advance(1min);
  engine_.Tick(now(), out_);
  Finish("a", 1, 2, DeliveryOutcome::kSucceeded);
  Flush();
  EXPECT_EQ(out_.wake_at, std::nullopt);
}

TEST_F(EngineTest, ForgetsAlsoWhatOnlyTheStoreKnows) {
  engine_.Remove("gone", now(), out_);
  EXPECT_EQ(Flush().forgotten, (std::vector<std::string>{"gone"}));
}

}  // namespace
}  // namespace penstock::broker
