#include <gmock/gmock.h>

#include <set>

#include "tests/unit/services/event-broker/pull/hub_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(HubTest, AnAcknowledgementSucceeds) {
  const auto consumer = Join(5);
  Send(1, 2);
  consumer->Take();
  clock_.Advance(3s);
  consumer->joined->Acknowledge({Id(1), Id(2)});
  const auto results = Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].key, (DeliveryKey{kUid, 1}));
  EXPECT_EQ(results[0].attempt, 1);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(results[0].duration, Microseconds(3s));
  EXPECT_EQ(hub_->stats().out, 0);
}

TEST_F(HubTest, ARejectionIsTriedAgainAfterItsDelay) {
  const auto consumer = Join(5);
  Send(1, 2);
  consumer->Take();
  consumer->joined->Reject({{Id(1), 5s, "the disk is full"}, {Id(2), 0s, ""}});
  const auto results = Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kRetryable);
  EXPECT_EQ(results[0].retry_after, Microseconds(5s));
  EXPECT_EQ(results[0].error.message, "the disk is full");
  EXPECT_FALSE(results[1].retry_after.has_value());
}

TEST_F(HubTest, WhatIsNotAcknowledgedInTimeGoesToAnotherConsumer) {
  const auto hung = Join(100);
  Send(1, 1);
  ASSERT_EQ(hung->Take(), (Taken{{1, 1}}));
  const auto other = Join(1);
  Advance(10s - 1us);
  EXPECT_TRUE(Results().empty());
  Advance(1us);
  const auto results = Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kRetryable);
  EXPECT_EQ(results[0].error.type, "AckTimeout");
  Send(Order(1, 2));
  EXPECT_TRUE(hung->Take().empty());  // Though it has more credit.
  EXPECT_EQ(other->Take(), (Taken{{1, 2}}));
}

TEST_F(HubTest, TheOnlyConsumerGetsItAgain) {
  const auto consumer = Join(100);
  Send(1, 1);
  consumer->Take();
  Advance(10s);
  Send(Order(1, 2));
  EXPECT_EQ(consumer->Take(), (Taken{{1, 2}}));
}

TEST_F(HubTest, AnExtensionBeginsTheTimeAnew) {
  const auto consumer = Join(5);
  Send(1, 2);
  consumer->Take();
  Advance(9s);
  consumer->joined->Extend({Id(1)});
  Advance(1s);
  ASSERT_EQ(Results().size(), 1u);  // The other one.
  Advance(8s);
  EXPECT_TRUE(Results().empty());
  ASSERT_EQ(*hub_->Extend(kName, {Id(1), Id(2)}), std::vector<std::string>{Id(2)});
  Advance(9s);
  EXPECT_TRUE(Results().empty());
  Advance(1s);
  EXPECT_EQ(Results().size(), 1u);
}

TEST_F(HubTest, WhatALostConsumerHasTakenIsUnknownAtOnce) {
  auto lost = Join(5);
  Send(1, 3);
  EXPECT_EQ(lost->Take(2), (Taken{{1, 1}, {2, 1}}));
  const auto other = Join(5);
  lost.reset();
  const auto results = Results();
  ASSERT_EQ(results.size(), 2u);
  const std::set<Sequence> sequences{results[0].key.sequence, results[1].key.sequence};
  EXPECT_EQ(sequences, (std::set<Sequence>{1, 2}));
  for (const DeliveryResult& result : results) {
    EXPECT_EQ(result.outcome, DeliveryOutcome::kUnknown);
    EXPECT_EQ(result.error.type, "ConsumerLost");
  }
  // The third one never left: it goes on as the same attempt.
  EXPECT_EQ(other->Take(), (Taken{{3, 1}}));
  EXPECT_EQ(Credit(), 4u);
  EXPECT_EQ(hub_->stats().lost, 2u);
}

TEST_F(HubTest, CreditIsGoneBeforeWhatWasLostComesBack) {
  auto lost = Join(5);
  Send(1, 1);
  lost->Take();
  lost.reset();
  credit_at_results_.reset();
  ASSERT_EQ(Results().size(), 1u);
  EXPECT_EQ(credit_at_results_, 0u);
}

TEST_F(HubTest, WhatGoesBackKeepsItsOrder) {
  auto lost = Join(5);
  Send(1, 5);
  const auto other = Join(0);
  lost.reset();
  ASSERT_TRUE(other->joined->AddCredit(10).ok());
  EXPECT_EQ(other->Take(), (Taken{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}));
}

TEST_F(HubTest, LateAndForeignAcknowledgementsDoNothing) {
  const auto first = Join(1);
  Send(1, 1);
  first->Take();
  Advance(10s);
  ASSERT_EQ(Results().size(), 1u);
  const auto second = Join(5);
  Send(Order(1, 2));
  ASSERT_EQ(second->Take(), (Taken{{1, 2}}));
  first->joined->Acknowledge({Id(1)});
  first->joined->Reject({{Id(1), 0s, ""}});
  first->joined->Extend({Id(1)});
  first->joined->Acknowledge({Id(99), "nonsense"});
  EXPECT_TRUE(Results().empty());
  EXPECT_EQ(hub_->stats().late, 5u);
  second->joined->Acknowledge({Id(1)});
  const auto results = Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].attempt, 2);
  second->joined->Acknowledge({Id(1)});
  EXPECT_TRUE(Results().empty());
  EXPECT_EQ(hub_->stats().late, 6u);
}

TEST_F(HubTest, ACallAcknowledgesWhoeverHasIt) {
  const auto consumer = Join(5);
  Send(1, 2);
  consumer->Take();
  EXPECT_EQ(*hub_->Acknowledge(kName, {Id(1), Id(9)}), std::vector<std::string>{Id(9)});
  EXPECT_TRUE(hub_->Reject(kName, {{Id(2), 3s, "no"}})->empty());
  const auto results = Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(results[1].retry_after, Microseconds(3s));
}

TEST_F(HubTest, WhatADetachedConsumerTookStaysOut) {
  auto once = Join(5);
  Send(1, 3);
  ASSERT_EQ(once->Take(2).size(), 2u);
  once->joined->Detach();
  once.reset();
  EXPECT_TRUE(Results().empty());
  EXPECT_EQ(Credit(), 0u);
  EXPECT_EQ(hub_->stats().out, 2);
  EXPECT_EQ(hub_->stats().waiting, 1);
  EXPECT_TRUE(hub_->Acknowledge(kName, {Id(1)})->empty());
  Advance(10s);
  const auto results = Results();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(results[1].outcome, DeliveryOutcome::kRejected);   // Nobody came for the third.
  EXPECT_EQ(results[2].outcome, DeliveryOutcome::kRetryable);  // The second was not acknowledged.
}

TEST_F(HubTest, AWaitEndsWhenNothingCame) {
  const auto waiting = Join(5, {.wait = 2s});
  const auto served = Join(6, {.wait = 2s});
  Send(1, 1);
  Advance(2s);
  ASSERT_TRUE(waiting->end.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(*waiting->end));
  EXPECT_FALSE(served->end.has_value());
  EXPECT_EQ(served->Take(), (Taken{{1, 1}}));
  EXPECT_EQ(Credit(), 5u);
}

TEST_F(HubTest, AConsumerThatDoesNotReadKeepsNothing) {
  const auto stuck = Join(2);
  Send(1, 2);
  Advance(10s);
  ASSERT_EQ(Results().size(), 2u);
  EXPECT_EQ(Credit(), 0u);
  EXPECT_TRUE(stuck->Take().empty());
  EXPECT_EQ(Credit(), 2u);  // It reads again.
}

TEST_F(HubTest, ADeletionEndsTheConsumers) {
  const auto consumer = Join(5);
  Send(1, 1);
  consumer->Take();
  subscriptions_.erase("pulled");
  hub_->Cancel({kUid, 1}, 1);
  hub_->Tick();
  ASSERT_TRUE(consumer->end.has_value());
  EXPECT_TRUE(absl::IsNotFound(*consumer->end));
  EXPECT_TRUE(consumer->Take().empty());
  EXPECT_EQ(Results().size(), 1u);
}

TEST_F(HubTest, ADeletionIsSeenWithinASecondWithoutACancel) {
  const auto consumer = Join(5);
  subscriptions_.erase("pulled");
  Advance(1s);
  ASSERT_TRUE(consumer->end.has_value());
  EXPECT_TRUE(absl::IsNotFound(*consumer->end));
  EXPECT_EQ(Credit(), 0u);
}

TEST_F(HubTest, APauseKeepsConsumers) {
  const auto consumer = Join(5);
  subscriptions_["pulled"].state = SubscriptionState::kPaused;
  Advance(5s);
  EXPECT_FALSE(consumer->end.has_value());
  EXPECT_EQ(Credit(), 5u);
}

TEST_F(HubTest, ASubscriptionThatIsNoLongerPulledEndsThem) {
  const auto consumer = Join(5);
  subscriptions_["pulled"].pull.reset();
  Advance(1s);
  ASSERT_TRUE(consumer->end.has_value());
  EXPECT_TRUE(absl::IsFailedPrecondition(*consumer->end));
}

TEST_F(HubTest, OnlyTheAttemptThatIsOutIsCancelled) {
  const auto consumer = Join(5);
  Send(Order(1, 2));
  consumer->Take();
  hub_->Cancel({kUid, 1}, 1);
  EXPECT_TRUE(Results().empty());
  hub_->Cancel({kUid, 1}, 2);
  EXPECT_EQ(Results().size(), 1u);
}

TEST_F(HubTest, AStopGivesEverythingBack) {
  const auto consumer = Join(2);
  Send(1, 3);
  ASSERT_EQ(consumer->Take(1).size(), 1u);
  hub_->Stop();
  ASSERT_TRUE(consumer->end.has_value());
  EXPECT_TRUE(absl::IsUnavailable(*consumer->end));
  std::map<Sequence, DeliveryOutcome> outcomes;
  for (const DeliveryResult& result : results_) outcomes[result.key.sequence] = result.outcome;
  EXPECT_EQ(outcomes, (std::map<Sequence, DeliveryOutcome>{{1, DeliveryOutcome::kUnknown},
                                                           {2, DeliveryOutcome::kRejected},
                                                           {3, DeliveryOutcome::kRejected}}));
  EXPECT_TRUE(absl::IsUnavailable(hub_->Join(kName, {}, {}).status()));
  results_.clear();
  Send(4, 4);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].outcome, DeliveryOutcome::kRejected);
}

}  // namespace
}  // namespace penstock::broker
