#include <gmock/gmock.h>

#include "libs/base/status.h"
#include "tests/unit/services/event-broker/pull/hub_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(HubTest, CreditIsToldAsWhatConsumersCanStillTake) {
  EXPECT_EQ(Credit(), 0u);
  const auto first = Join(10);
  EXPECT_EQ(Credit(), 10u);
  const auto second = Join(5);
  EXPECT_EQ(Credit(), 15u);
  Send(1, 4);
  ASSERT_TRUE(second->joined->AddCredit(1).ok());
  EXPECT_EQ(Credit(), 12u);  // 15 - 4 + 1
}

TEST_F(HubTest, CreditIsToldAgainToWhoKnowsTheSubscriptionLater) {
  const auto consumer = Join(10);
  credit_.clear();
  Advance(999ms);
  EXPECT_EQ(Credit(), 0u);
  Advance(1ms);
  EXPECT_EQ(Credit(), 10u);
}

TEST_F(HubTest, AnEventGoesToTheConsumerWithMostCreditInOrder) {
  const auto poor = Join(2);
  const auto rich = Join(5);
  Send(1, 3);
  EXPECT_EQ(rich->ready, 1);
  EXPECT_EQ(poor->ready, 0);
  EXPECT_EQ(rich->Take(), (Taken{{1, 1}, {2, 1}, {3, 1}}));
  // Equal now: they take turns.
  Send(4, 7);
  EXPECT_EQ(poor->Take().size(), 2u);
  EXPECT_EQ(rich->Take().size(), 2u);
}

TEST_F(HubTest, NoConsumerGetsMoreThanItsCredit) {
  const auto consumer = Join(2);
  Send(1, 3);
  EXPECT_EQ(consumer->Take(), (Taken{{1, 1}, {2, 1}}));
  EXPECT_EQ(Credit(), 0u);
  consumer->joined->Acknowledge({Id(1)});
  EXPECT_TRUE(consumer->Take().empty());  // An acknowledgement alone gives no credit.
  ASSERT_TRUE(consumer->joined->AddCredit(2).ok());
  EXPECT_EQ(consumer->Take(), (Taken{{3, 1}}));
  EXPECT_EQ(Credit(), 1u);
}

TEST_F(HubTest, RenewedCreditComesBackWithEachEnd) {
  const auto consumer = Join(2, {.renew_credit = true});
  Send(1, 4);
  EXPECT_EQ(consumer->Take(), (Taken{{1, 1}, {2, 1}}));
  consumer->joined->Acknowledge({Id(2)});
  EXPECT_EQ(consumer->Take(), (Taken{{3, 1}}));
  consumer->joined->Reject({{Id(1), 0s, ""}});
  EXPECT_EQ(consumer->Take(), (Taken{{4, 1}}));
  ASSERT_TRUE(hub_->Acknowledge(kName, {Id(3), Id(4)}).ok());
  EXPECT_EQ(Credit(), 2u);
}

TEST_F(HubTest, BytesOutWithARenewingConsumerAreBounded) {
  const auto consumer = Join(10, {.renew_credit = true});
  for (Sequence at = 1; at <= 4; ++at) Send(Order(at, 1, 3u << 20));
  EXPECT_EQ(consumer->Take(), (Taken{{1, 1}, {2, 1}}));  // 6 MiB; a third one would be too much.
  EXPECT_TRUE(consumer->Take().empty());
  consumer->ready = 0;
  consumer->joined->Acknowledge({Id(1)});
  hub_->Tick();
  EXPECT_EQ(consumer->ready, 1);
  EXPECT_EQ(consumer->Take(), (Taken{{3, 1}}));
}

TEST_F(HubTest, AMessageIsBoundedByEventsAndBytes) {
  const auto consumer = Join(10);
  for (Sequence at = 1; at <= 5; ++at) Send(Order(at, 1, 100));
  EXPECT_EQ(consumer->Take(2, 1000), (Taken{{1, 1}, {2, 1}}));
  EXPECT_EQ(consumer->Take(10, 50), (Taken{{3, 1}}));  // One that is larger goes alone.
  EXPECT_EQ(consumer->Take(10, 250), (Taken{{4, 1}, {5, 1}}));
}

TEST_F(HubTest, WhatComesWithoutCreditWaitsInOrderAndThenGoesBack) {
  const auto consumer = Join(0);
  Send(1, 3);
  Advance(1s);
  ASSERT_TRUE(consumer->joined->AddCredit(2).ok());
  EXPECT_EQ(consumer->Take(), (Taken{{1, 1}, {2, 1}}));
  EXPECT_EQ(Credit(), 0u);
  Advance(1s);
  const auto results = Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].key.sequence, 3u);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kRejected);
  EXPECT_EQ(results[0].error.type, "NoConsumer");
}

TEST_F(HubTest, WhatWaitsIsTakenFromTheCreditThatIsTold) {
  Send(1, 3);
  const auto consumer = Join(2);
  EXPECT_EQ(Credit(), 0u);
  ASSERT_TRUE(consumer->joined->AddCredit(5).ok());
  EXPECT_EQ(Credit(), 4u);
  EXPECT_EQ(consumer->Take().size(), 3u);
}

TEST_F(HubTest, CreditIsBounded) {
  const auto consumer = Join(kPullCreditMax);
  EXPECT_TRUE(absl::IsResourceExhausted(consumer->joined->AddCredit(1)));
  EXPECT_TRUE(absl::IsInvalidArgument(consumer->joined->AddCredit(-1)));
  EXPECT_EQ(Credit(), static_cast<std::size_t>(kPullCreditMax));
  Send(1, 1);
  EXPECT_TRUE(absl::IsResourceExhausted(consumer->joined->AddCredit(1)));  // It has not taken it.
  consumer->Take();
  EXPECT_TRUE(consumer->joined->AddCredit(1).ok());
}

TEST_F(HubTest, ConsumersAreBounded) {
  std::vector<std::shared_ptr<TestConsumer>> consumers;
  for (std::size_t i = 0; i < kPullConsumersMax; ++i) consumers.push_back(Join(1));
  EXPECT_EQ(Credit(), kPullConsumersMax);
  EXPECT_TRUE(absl::IsResourceExhausted(hub_->Join(kName, {}, {}).status()));
  EXPECT_EQ(hub_->stats().consumers, static_cast<std::int64_t>(kPullConsumersMax));
  consumers.pop_back();
  Join(1);
}

TEST_F(HubTest, OnlyPulledSubscriptionsCanBeJoined) {
  EXPECT_TRUE(absl::IsNotFound(hub_->Join("spaces/default/subscriptions/no", {}, {}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      hub_->Join("spaces/default/subscriptions/called", {}, {}).status()));
  const auto violations = FieldViolationsOf(hub_->Join("pulled", {}, {}).status());
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "subscription");
  EXPECT_TRUE(
      absl::IsNotFound(hub_->Acknowledge("spaces/default/subscriptions/no", {Id(1)}).status()));
}

TEST_F(HubTest, AReplaysDeliveriesGoToTheSubscriptionsConsumers) {
  const auto consumer = Join(5);
  PullOrder order = Order(7);
  order.key.uid = std::string(kUid) + ".r1";
  order.replay = true;
  Send(order);
  const auto taken = consumer->joined->Take(10, 1000);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].delivery_id, "u1.r1-7");
  EXPECT_TRUE(taken[0].replay);
  consumer->joined->Acknowledge({"u1.r1-7"});
  const auto results = Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].key, order.key);
}

}  // namespace
}  // namespace penstock::broker
