// Failed attempts: when they are tried again, and when they are given up.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, RetriesAfterTheDelayWithTheSameKeyAndTheNextAttempt) {
  DeliverySettings settings;
  settings.retry.jitter = 0;
  Add("a", settings);
  Append("a", 1);
  TakeSends();
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(999ms);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1ms);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, HonoursRetryAfterWhenItIsLonger) {
  Add("a");
  Append("a", 1);
  TakeSends();
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 30s);
  Advance(29s);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, ExhaustedAttemptsBecomeADeadLetterWithTheirLog) {
  DeliverySettings settings;
  settings.retry.attempts_max = 2;
  Add("a", settings);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  Advance(10s);
  Finish("a", 1, 2, DeliveryOutcome::kRetryable);
  const StateTransaction transaction = Flush();
  ASSERT_EQ(transaction.dead.size(), 1u);
  EXPECT_EQ(transaction.dead[0].reason, DeadReason::kAttemptsExhausted);
  EXPECT_EQ(transaction.dead[0].attempts, 2);
  EXPECT_EQ(transaction.dead[0].log.size(), 2u);
  EXPECT_EQ(transaction.matched_through, 1u);
}

TEST_F(EngineTest, APermanentFailureIsNotTriedAgain) {
  Add("a");
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kPermanent);
}

TEST_F(EngineTest, GivesUpWhenTheNextAttemptWouldBeTooOld) {
  DeliverySettings settings;
  settings.retry.age_max = 5s;
  Add("a", settings);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 6s);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExpired);
}

TEST_F(EngineTest, ARejectionConsumesNoAttempt) {
  DeliverySettings settings;
  settings.retry.attempts_max = 1;
  Add("a", settings);
  Append("a", 1);
  TakeSends();
  for (int i = 0; i < 5; ++i) {
    Finish("a", 1, 1, DeliveryOutcome::kRejected);
    Advance(10s);
    ASSERT_EQ(TakeSends(), (Sends{"a-1#1"}));
  }
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  EXPECT_TRUE(Flush().dead.empty());
}

TEST_F(EngineTest, ThreeLostStreamsCountAsOneFailedAttempt) {
  DeliverySettings settings;
  settings.retry.attempts_max = 1;
  Add("a", settings);
  Append("a", 1);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    Finish("a", 1, attempt, DeliveryOutcome::kUnknown);
    Advance(10s);
  }
  EXPECT_EQ(counters().lost, 3u);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExecutorLost);
}

TEST_F(EngineTest, GrowsDelaysLinearly) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.backoff = Backoff::kLinear;
  settings.retry.delay_initial = 10s;
  Add("a", settings);
  Append("a", 1);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    TakeSends();
    Fail("a", 1, attempt);
    Advance(attempt * 10s - 1us);
    ASSERT_EQ(TakeSends(), Sends{}) << attempt;
    Advance(1us);
    ASSERT_EQ(out_.sends.size(), 1u) << attempt;
  }
}

TEST_F(EngineTest, FollowsAScheduleWhoseLastDelayRepeats) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.backoff = Backoff::kSchedule;
  settings.retry.schedule = {1s, 10min};
  Add("a", settings);
  Append("a", 1);
  for (const Microseconds delay : {Microseconds(1s), Microseconds(10min), Microseconds(10min)}) {
    const int attempt = out_.sends.back().attempt;
    TakeSends();
    Fail("a", 1, attempt);
    Advance(delay - 1us);
    ASSERT_EQ(TakeSends(), Sends{});
    Advance(1us);
    ASSERT_EQ(out_.sends.size(), 1u);
  }
}

TEST_F(EngineTest, AnEventThatIsTooOldToLiveIsNotSent) {
  DeliverySettings settings;
  settings.time_to_live = 5s;
  settings.paused = true;
  Add("a", settings);
  Append("a", 1);
  Advance(6s);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExpired);
}

TEST_F(EngineTest, WhatWouldOnlyBeDueAfterItsTimeToLiveIsGivenUp) {
  DeliverySettings settings;
  settings.time_to_live = 5s;
  Add("a", settings);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 6s);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kExpired);
}

TEST_F(EngineTest, AnEventThatWasTooOldWhenFirstSentHasAWholeSeries) {
  DeliverySettings settings;
  settings.paused = true;
  Add("a", settings);
  Append("a", 1);
  Advance(48h);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  Fail("a", 1);
  Advance(10s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-1#2"}));
}

TEST_F(EngineTest, TheEndsThatAreNoAttemptsBecomeDeadLettersAtOnce) {
  Add("a");
  Append("a", 1);
  Append("a", 2);
  Finish("a", 1, 1, DeliveryOutcome::kExpired);
  Finish("a", 2, 1, DeliveryOutcome::kHopLimit);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 2u);
  EXPECT_EQ(dead[0].reason, DeadReason::kExpired);
  EXPECT_EQ(dead[0].attempts, 0);
  EXPECT_EQ(dead[1].reason, DeadReason::kHopLimit);
}

TEST_F(EngineTest, TheLogOfAttemptsIsBounded) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.attempts_max = 15;
  settings.retry.delay_max = 1s;
  Add("a", settings);
  Append("a", 1);
  for (int attempt = 1; attempt <= 15; ++attempt) {
    Fail("a", 1, attempt);
    Advance(1s);
  }
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].attempts, 15);
  ASSERT_EQ(dead[0].log.size(), 10u);
  EXPECT_EQ(dead[0].log[0].attempt, 6);
}

TEST_F(EngineTest, RetriesTakeAFifthOfTheSendsWhileFreshEventsWait) {
  Begin({}, 1);
  DeliverySettings settings;
  settings.retry.attempts_max = 1000;
  settings.retry.delay_max = 1s;
  settings.retry.delay_initial = 1s;
  settings.retry.jitter = 0;
  settings.in_flight_max = 1000;
  Add("a", settings);
  engine_->SetCapacity(100, now(), out_);
  for (Sequence s = 1; s <= 100; ++s) Append("a", s);
  for (Sequence s = 1; s <= 100; ++s) Fail("a", s);
  engine_->SetCapacity(0, now(), out_);
  Advance(10s);
  for (Sequence s = 101; s <= 400; ++s) Append("a", s);
  TakeSends();
  engine_->SetCapacity(100, now(), out_);
  int retries = 0;
  for (const SendOrder& order : out_.sends) retries += order.attempt > 1 ? 1 : 0;
  EXPECT_EQ(out_.sends.size(), 75u);
  EXPECT_EQ(retries, 15);
}

TEST_F(EngineTest, RetriesTakeAllWhenNothingFreshWaits) {
  DeliverySettings settings = ToTarget("f");
  Add("a", settings);
  for (Sequence s = 1; s <= 50; ++s) Append("a", s);
  for (Sequence s = 1; s <= 50; ++s) Fail("a", s);
  TakeSends();
  Advance(1s);
  EXPECT_EQ(out_.sends.size(), 50u);
}

}  // namespace
}  // namespace penstock::broker
