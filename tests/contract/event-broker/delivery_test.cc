#include <set>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using Result = pbi::InvocationResult;

FakeExecutor::Answer Always(FakeExecutor::Outcome outcome) {
  return [outcome](const pbi::Invocation&) { return outcome; };
}

class DeliveryTest : public EventBrokerTest {
 protected:
  std::set<std::int64_t> Sequences() {
    std::set<std::int64_t> sequences;
    for (const auto& invocation : executor_->invocations()) sequences.insert(invocation.sequence());
    return sequences;
  }
  bool IsDone(const std::string& id) {
    const auto status = StatusOf(id);
    return status.ok() && status->floor_sequence() == status->head_sequence();
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, DeliveryTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(DeliveryTest, MatchingEventsReachTheFunction) {
  const auto created = Create("orders", Wanted("order.*"));
  ASSERT_TRUE(created.ok()) << created.status();
  pb::Subscription filtered = Wanted("*");
  (*filtered.add_filters()->mutable_exact())["subject"] = "vip";
  ASSERT_TRUE(Create("vips", filtered).ok());
  MustPublish("a1", "user.created");
  const auto paid = MustPublish("a2", "order.paid");
  CloudEvent vip = Event("a3", "user.created");
  (*vip.mutable_attributes())["subject"].set_ce_string("vip");
  const auto receipt = Publish(vip);
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 2; }));
  EXPECT_EQ(Sequences(), (std::set<std::int64_t>{paid, receipt->sequence()}));
  const auto invocation = executor_->invocations()[0];
  EXPECT_EQ(invocation.delivery_id(), created->uid() + "-" + std::to_string(paid));
  EXPECT_EQ(invocation.attempt(), 1);
  EXPECT_EQ(invocation.function(), "spaces/default/functions/bill");
  EXPECT_EQ(invocation.subscription(), NameOf("orders"));
  EXPECT_EQ(invocation.min_function_revision(), 7);
  CloudEvent event;
  ASSERT_TRUE(event.ParseFromString(invocation.event()));
  EXPECT_EQ(event.id(), "a2");
  EXPECT_TRUE(Eventually([&] { return IsDone("orders") && IsDone("vips"); }));
}

TEST_P(DeliveryTest, RejectedAttemptsAreRepeatedWithoutBeingCounted) {
  executor_->set_answer([](const pbi::Invocation&) {
    static int calls = 0;
    return ++calls % 3 == 0 ? Result::SUCCEEDED : Result::REJECTED;
  });
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 3; }));
  EXPECT_EQ(executor_->invocations()[2].attempt(), 1);
}

TEST_P(DeliveryTest, DeletionWithPendingDeliveriesNeedsForce) {
  executor_->set_answer(Always(Result::OUTCOME_UNSPECIFIED));
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 1; }));
  const auto refused = Delete("orders");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(refused.message().find("1 pending"), std::string::npos) << refused;
  EXPECT_EQ(StatusOf("orders")->in_flight(), 1);
  EXPECT_TRUE(Delete("orders", true).ok());
  EXPECT_TRUE(absl::IsNotFound(StatusOf("orders").status()));
}

TEST_P(DeliveryTest, APauseKeepsThePlace) {
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  pb::PauseSubscriptionRequest pause;
  pause.set_name(NameOf("orders"));
  const auto paused = Call(*catalog_, &pb::EventCatalogService::Stub::PauseSubscription, pause);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), pb::Subscription::PAUSED);
  const auto first = MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return StatusOf("orders")->has_oldest_pending_time(); }));
  EXPECT_EQ(executor_->count(), 0u);
  Restart();
  EXPECT_EQ(Get("orders")->state(), pb::Subscription::PAUSED);
  EXPECT_LT(StatusOf("orders")->floor_sequence(), first);
  pb::ResumeSubscriptionRequest resume;
  resume.set_name(NameOf("orders"));
  const auto resumed = Call(*catalog_, &pb::EventCatalogService::Stub::ResumeSubscription, resume);
  EXPECT_EQ(resumed->state(), pb::Subscription::ACTIVE);
  EXPECT_TRUE(Eventually([&] { return executor_->count() == 1; }));
  ASSERT_TRUE(Create("route", Routed("/a")).ok());
  pause.set_name(NameOf("route"));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Call(*catalog_, &pb::EventCatalogService::Stub::PauseSubscription, pause).status()));
}

TEST_P(DeliveryTest, DeadLettersAreListedRedrivenAndPurged) {
  executor_->set_answer(Always(Result::RETRYABLE));
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  for (const char* id : {"a1", "a2", "a3"}) MustPublish(id);
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 3; }));
  const auto letters = DeadLetters();
  EXPECT_EQ(letters[0].reason(), pb::DeadLetter::ATTEMPTS_EXHAUSTED);
  EXPECT_EQ(letters[0].attempts(), 2);
  EXPECT_EQ(letters[0].attempt_log_size(), 2);
  EXPECT_EQ(letters[0].last_error().type(), "Boom");
  EXPECT_EQ(letters[0].event().text_data(), "data");
  EXPECT_EQ(StatusOf("orders")->dead_letters(), 3);

  pb::GetDeadLetterRequest get;
  get.set_name(letters[1].name());
  EXPECT_EQ(Call(*catalog_, &pb::EventCatalogService::Stub::GetDeadLetter, get)->event().id(),
            letters[1].event().id());
  get.set_name("spaces/other/deadLetters/" + letters[1].name().substr(27));
  EXPECT_TRUE(absl::IsNotFound(
      Call(*catalog_, &pb::EventCatalogService::Stub::GetDeadLetter, get).status()));

  executor_->set_answer(Always(Result::SUCCEEDED));
  pb::RedriveDeadLettersRequest redrive;
  redrive.set_parent("spaces/default");
  EXPECT_EQ(
      FieldsOf(
          Call(*catalog_, &pb::EventCatalogService::Stub::RedriveDeadLetters, redrive).status()),
      "names");
  redrive.add_names(letters[0].name());
  const auto redriven =
      Call(*catalog_, &pb::EventCatalogService::Stub::RedriveDeadLetters, redrive);
  ASSERT_TRUE(redriven.ok()) << redriven.status();
  EXPECT_EQ(redriven->redriven_count(), 1);
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 7; }));
  EXPECT_EQ(executor_->invocations().back().delivery_id(), letters[0].name().substr(27));
  EXPECT_TRUE(Eventually([&] { return DeadLetters().size() == 2; }));

  pb::PurgeDeadLettersRequest purge;
  purge.set_parent("spaces/default");
  purge.set_subscription("orders");
  EXPECT_EQ(
      Call(*catalog_, &pb::EventCatalogService::Stub::PurgeDeadLetters, purge)->purged_count(), 2);
  EXPECT_TRUE(DeadLetters().empty());
}

TEST_P(DeliveryTest, ARestartDeliversTheRest) {
  executor_->set_answer([](const pbi::Invocation& invocation) {
    return invocation.sequence() % 2 == 0 ? Result::SUCCEEDED : Result::OUTCOME_UNSPECIFIED;
  });
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  for (int i = 0; i < 10; ++i) MustPublish("a" + std::to_string(i));
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 10; }));
  ASSERT_TRUE(Eventually([&] { return StatusOf("orders")->in_flight() == 5; }));
  executor_->set_answer(Always(Result::SUCCEEDED));
  Restart();
  ASSERT_TRUE(Eventually([&] { return IsDone("orders"); }));
  std::multiset<std::int64_t> sent;
  for (const auto& invocation : executor_->invocations()) sent.insert(invocation.sequence());
  for (std::int64_t sequence = 2; sequence <= 11; ++sequence) {
    EXPECT_EQ(sent.count(sequence), sequence % 2 == 0 ? 1u : 2u) << sequence;
  }
  MustPublish("last");
  EXPECT_TRUE(Eventually([&] { return executor_->count() == 16; }));
}

TEST_P(DeliveryTest, AnExecutorThatComesBackGetsWhatWasLost) {
  executor_->set_answer(Always(Result::OUTCOME_UNSPECIFIED));
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 1; }));
  executor_->set_answer(Always(Result::SUCCEEDED));
  const int port = executor_host_->port();
  executor_host_->Stop(std::chrono::milliseconds(50));
  executor_host_.reset();
  rpc::ServerOptions options;
  options.name = "function-executor";
  if (port != 0) options.address = "127.0.0.1:" + std::to_string(port);
  options.services = {executor_.get()};
  auto host = rpc::ServerHost::Start(std::move(options));
  ASSERT_TRUE(host.ok()) << host.status();
  executor_host_ = *std::move(host);
  EXPECT_TRUE(Eventually([&] { return IsDone("orders"); }));
  EXPECT_EQ(executor_->invocations().back().attempt(), 1);  // A loss is not an attempt yet.
}

}  // namespace
}  // namespace penstock::broker
