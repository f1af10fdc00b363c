// Deliveries that are given up one by one.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

class EngineCancelTest : public EngineTest {
 protected:
  CancelVerdict Cancel(Sequence sequence) { return engine_->Cancel({"a", sequence}, now(), out_); }
  static DeliverySettings Limited(int in_flight_max) {
    DeliverySettings settings;
    settings.in_flight_max = in_flight_max;
    settings.retry.jitter = 0;
    return settings;
  }
};

TEST_F(EngineCancelTest, WhatWaitsIsNeverSent) {
  Add("a", Limited(1));
  Append("a", 1);
  Append("a", 2);
  Append("a", 3);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1"}));
  EXPECT_EQ(Cancel(2), CancelVerdict::kCancelled);
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
  Succeed("a", 3);
  const StateTransaction transaction = Flush();
  EXPECT_TRUE(transaction.dead.empty());
  EXPECT_EQ(engine_->lowest_needed(), 4U);
  EXPECT_EQ(Cancel(2), CancelVerdict::kOver);
}

TEST_F(EngineCancelTest, WhatWaitsForItsNextAttemptIsNotTriedAgain) {
  Add("a", Limited(10));
  Append("a", 1);
  TakeSends();
  Fail("a", 1);
  Flush();
  EXPECT_EQ(Cancel(1), CancelVerdict::kCancelled);
  Advance(1h);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_TRUE(Flush().dead.empty());
  EXPECT_EQ(Progress("a").retrying, 0U);
}

TEST_F(EngineCancelTest, AnAttemptInFlightIsTheLastOne) {
  Add("a", Limited(10));
  Append("a", 1);
  TakeSends();
  EXPECT_EQ(Cancel(1), CancelVerdict::kInFlight);
  ASSERT_EQ(out_.cancels.size(), 1U);
  EXPECT_EQ(out_.cancels[0].second, 1);
  EXPECT_EQ(Cancel(1), CancelVerdict::kInFlight);
  EXPECT_EQ(out_.cancels.size(), 1U) << "the executor is told once";
  Fail("a", 1);
  Advance(1h);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_TRUE(Flush().dead.empty());
  EXPECT_EQ(Cancel(1), CancelVerdict::kOver);
}

TEST_F(EngineCancelTest, AnAttemptThatSucceedsAllTheSameIsASuccess) {
  Add("a", Limited(10));
  Append("a", 1);
  TakeSends();
  EXPECT_EQ(Cancel(1), CancelVerdict::kInFlight);
  Succeed("a", 1);
  EXPECT_EQ(counters().succeeded, 1U);
  // Nothing is left behind for a later event of the same lane.
  Append("a", 2);
  TakeSends();
  Fail("a", 2);
  Advance(10s);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#2"}));
}

TEST_F(EngineCancelTest, APausedLaneGivesUpToo) {
  DeliverySettings settings = Limited(10);
  settings.paused = true;
  Add("a", settings);
  Append("a", 1);
  EXPECT_EQ(Cancel(1), CancelVerdict::kCancelled);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
}

TEST_F(EngineCancelTest, SaysWhatItCannotDo) {
  EXPECT_EQ(Cancel(1), CancelVerdict::kUnknown);
  Add("a", Ordered());
  Append("a", 1, 7);
  EXPECT_EQ(Cancel(1), CancelVerdict::kOrdered);
  Restart({});
  Add("a", Limited(1));
  EXPECT_EQ(Cancel(5), CancelVerdict::kNotReached);
}

}  // namespace
}  // namespace penstock::broker
