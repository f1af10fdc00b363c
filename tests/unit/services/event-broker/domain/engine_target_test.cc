// Targets: their windows and their breakers.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, ABreakerOpensAfterFailuresInARowAndProbes) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.attempts_max = 100;
  settings.in_flight_max = 3;
  Add("a", settings);
  for (Sequence s = 1; s <= 10; ++s) Append("a", s);
  for (Sequence s = 1; s <= 3; ++s) FailTarget("a", s);
  EXPECT_EQ(TakeSends().size(), 5u);  // Two more came before it opened.
  FailTarget("a", 4);
  FailTarget("a", 5);
  EXPECT_EQ(counters().breakers_opened, 1u);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kOpen);
  EXPECT_EQ(Progress("a").block, LaneBlock::kBreakerOpen);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kHalfOpen);
  EXPECT_EQ(TakeSends(), (Sends{"a-6#1"}));
  // A probe that fails opens it for twice as long.
  FailTarget("a", 6);
  Advance(2s - 1us);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1us);
  EXPECT_EQ(out_.sends.size(), 1u);
}

TEST_F(EngineTest, ProbesThatSucceedCloseTheBreaker) {
  Add("a", ToTarget("f"));
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  for (Sequence s = 1; s <= 3; ++s) FailTarget("a", s);
  for (Sequence s = 4; s <= 9; ++s) Append("a", s);
  TakeSends();
  Advance(1s);
  for (int probe = 0; probe < 3; ++probe) {
    ASSERT_EQ(out_.sends.size(), 1u) << probe;
    const SendOrder order = out_.sends[0];
    TakeSends();
    Succeed("a", order.key.sequence, order.attempt);
  }
  EXPECT_EQ(Progress("a").breaker, BreakerState::kClosed);
  EXPECT_EQ(out_.sends.size(), 6u);
}

TEST_F(EngineTest, ErrorsOfTheApplicationOpenNoBreaker) {
  Add("a", ToTarget("f"));
  for (Sequence s = 1; s <= 50; ++s) Append("a", s);
  for (Sequence s = 1; s <= 25; ++s) Fail("a", s);
  for (Sequence s = 26; s <= 50; ++s) Finish("a", s, 1, DeliveryOutcome::kPermanent);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kClosed);
}

TEST_F(EngineTest, LostStreamsAndStatusesOfAnIllTargetOpenTheBreaker) {
  Add("a", ToTarget("f"));
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  DeliveryResult result;
  result.key = {"a", 1};
  result.attempt = 1;
  result.outcome = DeliveryOutcome::kRetryable;
  result.http_status = 503;
  engine_->Finished({result}, now(), out_);
  Finish("a", 2, 1, DeliveryOutcome::kUnknown);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kClosed);
  result.key.sequence = 3;
  result.http_status = 0;
  result.timed_out = true;
  engine_->Finished({result}, now(), out_);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kOpen);
}

TEST_F(EngineTest, ABreakerOpensByItsShareOfFailures) {
  breaker_failures_ = 10;
  Begin({}, 100);
  DeliverySettings settings = ToTarget("f");
  settings.retry.delay_initial = settings.retry.delay_max = 1h;
  Add("a", settings);
  for (Sequence s = 1; s <= 20; ++s) Append("a", s);
  for (Sequence s = 1; s <= 9; ++s) FailTarget("a", s);
  Succeed("a", 10);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kClosed);  // Nine of ten; the next one decides.
  FailTarget("a", 11);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kOpen);
}

TEST_F(EngineTest, AnOpenBreakerConsumesNoAttemptsAndEventsExpireBehindIt) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.age_max = 10s;
  settings.in_flight_max = 3;
  Add("a", settings);
  for (Sequence s = 1; s <= 6; ++s) Append("a", s);
  for (Sequence s = 1; s <= 5; ++s) FailTarget("a", s);
  TakeSends();
  Advance(1s);
  const SendOrder probe = out_.sends.at(0);
  FailTarget("a", probe.key.sequence, probe.attempt);
  Advance(1s);
  TakeSends();
  EXPECT_EQ(counters().dead, 0u);
  engine_->SetCapacity(0, now(), out_);  // No probe is possible.
  wall_ += 10s;
  monotonic_ += 10s;
  ASSERT_TRUE(out_.wake_at);
  EXPECT_LE(*out_.wake_at, monotonic_);
  engine_->Tick(now(), out_);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 6u);
  for (const DeadDelivery& letter : dead) EXPECT_EQ(letter.reason, DeadReason::kExpired);
  EXPECT_EQ(TakeSends(), Sends{});
}

TEST_F(EngineTest, ATargetsWindowShrinksAndGrows) {
  EngineOptions options;
  options.target_window_first = 8;
  Begin(options);
  Add("a", ToTarget("f"));
  for (Sequence s = 1; s <= 40; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 8u);
  Finish("a", 1, 1, DeliveryOutcome::kRejected);
  EXPECT_EQ(Progress("a").window, 4);
  Finish("a", 2, 1, DeliveryOutcome::kRejected);
  EXPECT_EQ(Progress("a").window, 4);  // One cut for what was under way together.
  EXPECT_EQ(TakeSends(), Sends{});
  for (Sequence s = 3; s <= 8; ++s) Succeed("a", s);
  EXPECT_EQ(Progress("a").window, 5);
  EXPECT_EQ(out_.sends.size(), 5u);
  Advance(1s);
  const SendOrder order = out_.sends[0];
  Finish("a", order.key.sequence, order.attempt, DeliveryOutcome::kRetryable, 1s);
  EXPECT_EQ(Progress("a").window, 2);
}

TEST_F(EngineTest, AFewCallsThatFailDoNotShrinkTheWindowOfAllOthers) {
  EngineOptions options;
  options.target_window_first = 8;
  Begin(options);
  Add("a", ToTarget("f"));
  for (Sequence s = 1; s <= 40; ++s) Append("a", s);
  for (Sequence s = 1; s <= 20; ++s) Succeed("a", s);
  const int window = Progress("a").window;
  Finish("a", 21, 1, DeliveryOutcome::kRejected);
  EXPECT_EQ(Progress("a").window, window);
  Finish("a", 22, 1, DeliveryOutcome::kRejected);
  Finish("a", 23, 1, DeliveryOutcome::kRejected);
  EXPECT_EQ(Progress("a").window, window / 2);
}

TEST_F(EngineTest, LanesThatWaitForATargetTakeTurns) {
  EngineOptions options;
  options.target_window_first = options.target_window_max = 1;
  Begin(options);
  Add("a", ToTarget("f"));
  Add("b", ToTarget("f"));
  for (Sequence s = 1; s <= 3; ++s) {
    Append("a", s);
    engine_->Matched({{"b", {s, wall_, 0, 100}}}, s, now(), out_);
  }
  std::map<std::string, int> sent;
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(out_.sends.size(), 1u);
    const SendOrder order = out_.sends[0];
    TakeSends();
    ++sent[order.key.uid];
    if (i == 3) {
      EXPECT_EQ(sent["a"], 2);
    }
    Succeed(order.key.uid, order.key.sequence);
  }
  EXPECT_EQ(sent["b"], 3);
}

TEST_F(EngineTest, OneIllTargetTakesNothingFromAnother) {
  Add("ill", ToTarget("f"));
  Add("well", ToTarget("g"));
  for (Sequence s = 1; s <= 3; ++s) Append("ill", s);
  for (Sequence s = 1; s <= 3; ++s) FailTarget("ill", s);
  TakeSends();
  Append("ill", 4);
  Append("well", 5);
  EXPECT_EQ(TakeSends(), (Sends{"well-5#1"}));
}

}  // namespace
}  // namespace penstock::broker
