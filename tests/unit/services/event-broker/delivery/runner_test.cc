#include <set>

#include "libs/sqlite/connection.h"
#include "tests/unit/services/event-broker/delivery/runner_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(RunnerTest, EventsAfterTheControlRecordReachTheFunction) {
  StartBroker();
  Publish();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->subscription.effective_sequence, 2u);
  const Sequence sequence = Publish(1, "order.paid", "the body");
  Publish(1, "order.other");
  ASSERT_TRUE(Eventually([&] { return invoker_->count() >= 1; }));
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  const auto orders = invoker_->orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].key, (DeliveryKey{created->subscription.uid, sequence}));
  EXPECT_EQ(orders[0].attempt, 1);
  EXPECT_EQ(orders[0].epoch, store_->epoch());
  EXPECT_EQ(orders[0].function, "spaces/shop/functions/bill");
  EXPECT_EQ(orders[0].subscription, "spaces/shop/subscriptions/orders");
  EXPECT_EQ(orders[0].function_revision_min, 5);
  EXPECT_EQ(orders[0].event.view(), "the body");
}

TEST_F(RunnerTest, AChangeOfConditionsTakesEffectAtItsSequence) {
  StartBroker();
  const auto created = Create(Wanted("orders", "a"));
  ASSERT_TRUE(created.ok());
  const Sequence first = Publish(1, "a");
  ASSERT_TRUE(Edit("orders", [](Subscription& s) { s.event_type = "b"; }).ok());
  Publish(1, "a");
  const Sequence second = Publish(1, "b");
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 2; }));
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  const auto orders = invoker_->orders();
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].key.sequence, first);
  EXPECT_EQ(orders[1].key.sequence, second);
}

TEST_F(RunnerTest, FailuresAreRetriedAndThenDead) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kRetryable; };
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  const Sequence sequence = Publish(1, "order.paid", "keep me");
  ASSERT_TRUE(Eventually([&] { return !DeadLetters().empty(); }));
  EXPECT_EQ(invoker_->count(), 3u);
  EXPECT_EQ(invoker_->orders()[2].attempt, 3);
  const StoredDeadLetter letter = DeadLetters().at(0);
  EXPECT_EQ(letter.delivery.key, (DeliveryKey{created->subscription.uid, sequence}));
  EXPECT_EQ(letter.delivery.reason, DeadReason::kAttemptsExhausted);
  EXPECT_EQ(letter.delivery.log.size(), 3u);
  EXPECT_EQ(letter.subscription, "orders");
  EXPECT_EQ(letter.function, "bill");
  EXPECT_EQ(letter.event, "keep me");
}

TEST_F(RunnerTest, RedrivenDeadLettersAreSentAgainAndGo) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kPermanent; };
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(3);
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 3; }));
  invoker_->set_answer(nullptr);
  EXPECT_EQ(Redrive(DeadLetters()), 3);
  // Durable when it is answered: they are hidden while they are being sent.
  EXPECT_TRUE(DeadLetters().empty());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 6; }));
  const auto orders = invoker_->orders();
  EXPECT_EQ(orders[3].attempt, 1);
  invoker_->Finish(orders[3], DeliveryOutcome::kSucceeded);
  invoker_->Finish(orders[4], DeliveryOutcome::kPermanent);
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  EXPECT_EQ(DeadLetters()[0].delivery.redrives, 1);
  invoker_->Finish(orders[5], DeliveryOutcome::kSucceeded);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().in_flight == 0; }));
  EXPECT_EQ(Redrive({}), 0);
}

TEST_F(RunnerTest, ARedriveOfWhatIsOnItsWayIsAnsweredToo) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kPermanent; };
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish();
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  const auto letters = DeadLetters();
  invoker_->set_answer(nullptr);
  EXPECT_EQ(Redrive(letters), 1);
  EXPECT_EQ(Redrive(letters), 1);
  EXPECT_EQ(invoker_->count(), 2u);
  StopBroker(0ms);
}

TEST_F(RunnerTest, ALetterThatCannotBeReadIsNotSentFromTheLogInstead) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kPermanent; };
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(1, "order.paid", "as published");
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  const auto letters = DeadLetters();
  std::promise<absl::Status> edited;
  store_->EditDeadLetter(letters[0].delivery.key, 0, "as edited", "e1", "order.paid",
                         [&](const absl::Status& status) { edited.set_value(status); });
  ASSERT_TRUE(edited.get_future().get().ok());
  auto file = sqlite::Connection::Open({.path = (folder_ / "state.db").string()});
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->ExecuteScript("UPDATE dead_letters SET attempts = x'ff'").ok());
  invoker_->set_answer([](const InvocationOrder&) { return DeliveryOutcome::kSucceeded; });
  EXPECT_EQ(Redrive(letters), 1);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().rejected > 0; }));
  EXPECT_EQ(invoker_->count(), 1u);
  ASSERT_TRUE((*file)->ExecuteScript("UPDATE dead_letters SET attempts = x''").ok());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 2; }));
  EXPECT_EQ(invoker_->orders()[1].event.view(), "as edited");
}

TEST_F(RunnerTest, ARestartGoesOnWhereItStopped) {
  answer_ = nullptr;  // Nothing is answered.
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(5);
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 5; }));
  const auto before = invoker_->orders();
  for (int i : {0, 1, 3}) invoker_->Finish(before[i], DeliveryOutcome::kSucceeded);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().in_flight == 2; }));
  StopBroker(200ms);
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kSucceeded; };
  StartBroker();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 2; }));
  Publish();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 3; }));
  std::set<Sequence> again;
  for (const auto& order : invoker_->orders()) again.insert(order.key.sequence);
  EXPECT_EQ(again,
            (std::set<Sequence>{before[2].key.sequence, before[4].key.sequence, log_->head()}));
}

TEST_F(RunnerTest, RetriesSurviveARestart) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kRetryable; };
  StartBroker();
  Subscription subscription = Wanted("orders");
  subscription.retry.delay_initial = subscription.retry.delay_max = 100ms;
  ASSERT_TRUE(Create(subscription).ok());
  Publish();
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  StopBroker();
  StartBroker();
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  EXPECT_EQ(invoker_->orders().at(0).attempt, 2);
  EXPECT_EQ(invoker_->count(), 2u);
}

TEST_F(RunnerTest, MoreThanTheWindowIsCaughtUpCompletely) {
  slots_ = 0;
  log_options_.cache_bytes_max = 64 << 10;  // The older half comes from the disk.
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  const std::string body(500, 'x');
  for (int i = 0; i < 30; ++i) Publish(100, "order.paid", body);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 0u);
  invoker_->SetSlots(50);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 3000; }));
  std::set<Sequence> sequences;
  for (const auto& order : invoker_->orders()) {
    sequences.insert(order.key.sequence);
    ASSERT_EQ(order.event.size(), 500u);
  }
  EXPECT_EQ(sequences.size(), 3000u);
  EXPECT_EQ(invoker_->count(), 3000u);
  const std::string uid = invoker_->orders()[0].key.uid;
  ASSERT_TRUE(Eventually([&] { return !Progress(uid)->catching_up; }));
  Publish();
  EXPECT_TRUE(Eventually([&] { return runner_->stats().succeeded == 3001; }));
}

TEST_F(RunnerTest, CatchingUpUsesTheConditionsOfEachPlace) {
  slots_ = 0;
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders", "a")).ok());
  Publish(1500, "a");
  ASSERT_TRUE(Edit("orders", [](Subscription& s) { s.event_type = "b*"; }).ok());
  Publish(20, "a");
  Publish(700, "bb");
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  StopBroker();
  slots_ = 100;
  StartBroker();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 2200; }));
  const std::string uid = invoker_->orders()[0].key.uid;
  ASSERT_TRUE(Eventually([&] { return Progress(uid)->floor == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 2200u);
}

TEST_F(RunnerTest, APausedSubscriptionKeepsItsPlace) {
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(Edit("orders", [](Subscription& s) { s.state = SubscriptionState::kPaused; }).ok());
  Publish(3);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 0u);
  EXPECT_EQ(Progress(created->subscription.uid)->waiting, 3u);
  StopBroker();
  StartBroker();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 0u);
  ASSERT_TRUE(Edit("orders", [](Subscription& s) { s.state = SubscriptionState::kActive; }).ok());
  EXPECT_TRUE(Eventually([&] { return runner_->stats().succeeded == 3; }));
}

TEST_F(RunnerTest, LimitsApplyToWhatIsSent) {
  answer_ = nullptr;
  StartBroker();
  Subscription subscription = Wanted("orders");
  subscription.in_flight_max = 4;
  ASSERT_TRUE(Create(subscription).ok());
  Publish(20);
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 4; }));
  for (std::size_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(Eventually([&] { return invoker_->count() > i; }));
    invoker_->Finish(invoker_->orders()[i], DeliveryOutcome::kSucceeded);
  }
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 20; }));
  EXPECT_EQ(invoker_->in_flight_max(), 4u);
}

TEST_F(RunnerTest, ADeletionCancelsDropsAndLeavesNothingBehind) {
  answer_ = nullptr;
  StartBroker();
  const auto created = Create(Wanted("orders"));
  Publish(3);
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 3; }));
  const auto refused = Delete("orders");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  ASSERT_TRUE(Delete("orders", true).ok());
  ASSERT_TRUE(Eventually([&] { return invoker_->cancels().size() == 3; }));
  EXPECT_EQ(references_.held, 0);
  Publish();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 3u);
  EXPECT_EQ(Progress(created->subscription.uid), std::nullopt);
  StopBroker();
  StartBroker();
  EXPECT_TRUE(store_->LoadDeliveryState()->cursors.empty());
  EXPECT_TRUE(store_->LoadDeliveryState()->rows.empty());
}

TEST_F(RunnerTest, ARecreatedSubscriptionIsANewOne) {
  StartBroker();
  // Several times, since what it depends on is the order of random uids.
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(Create(Wanted("orders")).ok());
    ASSERT_TRUE(Delete("orders", true).ok());
  }
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  StopBroker();
  StartBroker();
  ASSERT_TRUE(catalog_->Get("shop", "orders").ok());
  EXPECT_EQ(catalog_->Get("shop", "orders")->uid, created->subscription.uid);
  Publish();
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  EXPECT_EQ(invoker_->orders()[0].key.uid, created->subscription.uid);
}

}  // namespace
}  // namespace penstock::broker
