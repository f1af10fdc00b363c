// Rates, batches and consumers that pull.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, StartsNoMoreDeliveriesThanTheRateAllows) {
  DeliverySettings settings;
  settings.rate = RateLimit{10, 3};
  Add("a", settings);
  for (Sequence s = 1; s <= 10; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 3u);
  Flush();
  EXPECT_EQ(out_.wake_at, monotonic_ + 100ms);
  Advance(100ms - 1us);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1us);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1"}));
  Advance(10s);
  EXPECT_EQ(TakeSends().size(), 3u);
}

TEST_F(EngineTest, TheRateHoldsForRetriesToo) {
  DeliverySettings settings = ToTarget("f");
  settings.rate = RateLimit{1, 1};
  Add("a", settings);
  Append("a", 1);
  Append("a", 2);
  Fail("a", 1);
  TakeSends();
  Advance(1s);
  EXPECT_EQ(out_.sends.size(), 1u);
  Advance(1s);
  EXPECT_EQ(out_.sends.size(), 2u);
}

TEST_F(EngineTest, ARateIsChangedAndLifted) {
  DeliverySettings settings;
  settings.rate = RateLimit{1, 1};
  Add("a", settings);
  for (Sequence s = 1; s <= 5; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 1u);
  settings.rate = RateLimit{1000, 10};
  engine_->ChangeSettings("a", settings, now(), out_);
  Advance(1ms);
  EXPECT_EQ(TakeSends().size(), 1u);
  settings.rate.reset();
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends().size(), 3u);
}

TEST_F(EngineTest, WhatWaitsLeavesTogether) {
  DeliverySettings settings;
  settings.batch.events_max = 3;
  settings.paused = true;
  Add("a", settings);
  for (Sequence s = 1; s <= 7; ++s) Append("a", s);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1+2+3", "a-4#1+5+6", "a-7#1"}));
  EXPECT_EQ(engine_->in_flight(), 7u);
}

TEST_F(EngineTest, TheFirstOfABatchWaitsForOthersForAWhile) {
  DeliverySettings settings;
  settings.batch = {3, 1s};
  Add("a", settings);
  Append("a", 1);
  Append("a", 2);
  EXPECT_EQ(TakeSends(), Sends{});
  Append("a", 3);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1+2+3"}));
  Append("a", 4);
  Flush();
  EXPECT_EQ(out_.wake_at, monotonic_ + 1s);
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1"}));
}

TEST_F(EngineTest, EachMemberOfABatchHasItsOwnEndAndIsTriedAgainAlone) {
  DeliverySettings settings = ToTarget("f");
  settings.batch.events_max = 3;
  settings.in_flight_max = 1;
  settings.paused = true;
  Add("a", settings);
  for (Sequence s = 1; s <= 4; ++s) Append("a", s);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1+2+3"}));
  Succeed("a", 1);
  Fail("a", 2);
  EXPECT_EQ(TakeSends(), Sends{});  // A batch is one call, and it has not ended.
  Succeed("a", 3);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1"}));
  Succeed("a", 4);
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#2"}));
}

TEST_F(EngineTest, LargeEventsDoNotTravelTogether) {
  DeliverySettings settings;
  settings.batch.events_max = 3;
  settings.paused = true;
  Add("a", settings);
  for (Sequence s = 1; s <= 3; ++s) {
    engine_->Matched({{"a", {s, wall_, 0, 600'000}}}, s, now(), out_);
  }
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1", "a-3#1"}));
}

TEST_F(EngineTest, ABatchTakesAsManyTokensAsItHasEvents) {
  DeliverySettings settings;
  settings.batch = {4, 1s};
  settings.rate = RateLimit{4, 4};
  Add("a", settings);
  for (Sequence s = 1; s <= 8; ++s) Append("a", s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1+2+3+4"}));
  Advance(999ms);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1ms);
  EXPECT_EQ(TakeSends(), (Sends{"a-5#1+6+7+8"}));
}

TEST_F(EngineTest, PullLanesSendAsMuchAsConsumersTake) {
  engine_->SetCapacity(0, now(), out_);
  DeliverySettings settings;
  settings.pull = true;
  Add("a", settings);
  for (Sequence s = 1; s <= 5; ++s) Append("a", s);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_EQ(Progress("a").block, LaneBlock::kNoConsumer);
  engine_->SetCredit("a", 2, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1"}));
  Finish("a", 1, 1, DeliveryOutcome::kRetryable, 1min);
  EXPECT_EQ(TakeSends(), Sends{});  // Its slot is free only when the consumer says so.
  engine_->SetCredit("a", 1, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
  Advance(1min);
  engine_->SetCredit("a", 1, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST_F(EngineTest, PullLanesHaveNoBreaker) {
  DeliverySettings settings;
  settings.pull = true;
  Add("a", settings);
  for (Sequence s = 1; s <= 40; ++s) Append("a", s);
  engine_->SetCredit("a", 40, now(), out_);
  for (Sequence s = 1; s <= 39; ++s) FailTarget("a", s);
  EXPECT_EQ(Progress("a").breaker, BreakerState::kClosed);
  EXPECT_EQ(counters().breakers_opened, 0u);
}

}  // namespace
}  // namespace penstock::broker
