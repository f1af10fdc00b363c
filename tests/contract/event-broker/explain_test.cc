#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using Result = pbi::InvocationResult;
using Explanation = pb::SubscriptionExplanation;
using CatalogStub = pb::EventCatalogService::Stub;

class ExplainEventTest : public EventBrokerTest {
 protected:
  absl::StatusOr<pb::ExplainEventResponse> Explain(const std::string& id, bool all = false) {
    pb::ExplainEventRequest request;
    request.set_id(id);
    request.set_all(all);
    return Call(*broker_, &pb::EventBrokerService::Stub::ExplainEvent, request);
  }
  // What is said about one subscription; nothing when it is not named.
  std::optional<Explanation> About(const std::string& event, const std::string& subscription) {
    const auto answer = Explain(event, true);
    if (!answer.ok()) return std::nullopt;
    for (const auto& one : answer->subscriptions()) {
      if (one.subscription() == NameOf(subscription)) return one;
    }
    return std::nullopt;
  }
  bool Becomes(const std::string& event, const std::string& subscription,
               Explanation::DeliveryState state) {
    return Eventually([&] {
      const auto one = About(event, subscription);
      return one && one->delivery_state() == state;
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, ExplainEventTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(ExplainEventTest, MatchesAndMismatchesNameTheirClauses) {
  const auto created = Create("orders", Wanted("order.*"));
  ASSERT_TRUE(created.ok()) << created.status();
  pb::Subscription filtered = Wanted("order.paid");
  (*filtered.add_filters()->mutable_exact())["source"] = "/none";
  ASSERT_TRUE(Create("filtered", filtered).ok());
  ASSERT_TRUE(Create("users", Wanted("user.*")).ok());
  const auto sequence = MustPublish("a1");
  ASSERT_TRUE(Becomes("a1", "orders", Explanation::DELIVERED));
  const auto answer = Explain("a1");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->event().sequence(), sequence);
  ASSERT_EQ(answer->subscriptions_size(), 2);
  EXPECT_EQ(answer->subscriptions(0).subscription(), NameOf("orders"));
  EXPECT_TRUE(answer->subscriptions(0).matched());
  EXPECT_EQ(answer->subscriptions(0).delivery_id(),
            created->uid() + "-" + std::to_string(sequence));
  EXPECT_EQ(answer->subscriptions(1).clause(), "filters[0].exact.source");
  EXPECT_EQ(About("a1", "users")->clause(), "eventType");
  EXPECT_TRUE(absl::IsNotFound(Explain("none").status()));
  EXPECT_EQ(FieldsOf(Explain("").status()), "id");
}

TEST_P(ExplainEventTest, ADeliveryIsFollowedFromFlightToRetryToDeadLetter) {
  executor_->set_answer([](const pbi::Invocation&) { return Result::OUTCOME_UNSPECIFIED; });
  ASSERT_TRUE(Create("flying", Wanted()).ok());
  MustPublish("a1");
  ASSERT_TRUE(Becomes("a1", "flying", Explanation::IN_FLIGHT));
  EXPECT_EQ(About("a1", "flying")->waits_for(), "the function to answer");

  executor_->set_answer([](const pbi::Invocation&) { return Result::RETRYABLE; });
  pb::Subscription slow = Wanted("slow");
  slow.mutable_retry()->mutable_initial_delay()->set_nanos(0);
  slow.mutable_retry()->mutable_initial_delay()->set_seconds(3600);
  slow.mutable_retry()->mutable_max_delay()->set_seconds(3600);
  ASSERT_TRUE(Create("slow", slow).ok());
  MustPublish("a2", "slow");
  ASSERT_TRUE(Becomes("a2", "slow", Explanation::RETRYING));
  const auto retrying = About("a2", "slow");
  EXPECT_EQ(retrying->attempt_count(), 1);
  EXPECT_EQ(retrying->attempts(0).error().message(), "it broke");
  EXPECT_TRUE(retrying->has_due_time());

  ASSERT_TRUE(Create("dying", Wanted("dying")).ok());
  MustPublish("a3", "dying");
  ASSERT_TRUE(Becomes("a3", "dying", Explanation::DEAD_LETTER));
  const auto dead = About("a3", "dying");
  EXPECT_EQ(dead->attempt_count(), 2);
  EXPECT_EQ(dead->last_error().type(), "Boom");
}

TEST_P(ExplainEventTest, AFailureNeverLooksLikeASuccess) {
  executor_->set_answer([](const pbi::Invocation&) { return Result::PERMANENT; });
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  for (int i = 0; i < 20; ++i) {
    const std::string id = "a" + std::to_string(i);
    MustPublish(id);
    ASSERT_TRUE(Eventually([&] {
      const auto one = About(id, "orders");
      EXPECT_NE(one->delivery_state(), Explanation::DELIVERED) << id;
      return one->delivery_state() == Explanation::DEAD_LETTER;
    }));
  }
}

TEST_P(ExplainEventTest, APauseAndADeletionAreReasons) {
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  pb::PauseSubscriptionRequest pause;
  pause.set_name(NameOf("orders"));
  ASSERT_TRUE(Call(*catalog_, &CatalogStub::PauseSubscription, pause).ok());
  MustPublish("a1");
  ASSERT_TRUE(Eventually([&] {
    const auto one = About("a1", "orders");
    return one && one->waits_for() == "the subscription to be resumed: it is paused";
  }));
  ASSERT_TRUE(Delete("orders", true).ok());
  EXPECT_TRUE(Becomes("a1", "orders", Explanation::DROPPED));
}

TEST_P(ExplainEventTest, AFilterCanBeTriedAlone) {
  pb::TestFilterRequest request;
  const auto test = [&] { return Call(*catalog_, &CatalogStub::TestFilter, request); };
  EXPECT_EQ(FieldsOf(test().status()), "event");
  *request.mutable_event() = Event("a1");
  EXPECT_TRUE(test()->matched());
  request.set_event_type("user.*");
  EXPECT_EQ(test()->clause(), "eventType");
  request.set_event_type("order.*");
  (*request.add_filters()->mutable_not_()->mutable_prefix())["source"] = "/sh";
  const auto refused = test();
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_FALSE(refused->matched());
  EXPECT_EQ(refused->clause(), "filters[0].not.prefix.source");
  (*request.add_filters()->mutable_exact())["Bad"] = "x";
  EXPECT_EQ(FieldsOf(test().status()), "filters[1].exact");
  request.clear_filters();
  request.add_filters();
  EXPECT_EQ(FieldsOf(test().status()), "filters[0]");
}

TEST_P(ExplainEventTest, SpacesWithSubscriptionsAreListed) {
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  const auto spaces =
      Call(*catalog_, &CatalogStub::ListSpaces, pb::ListSpacesRequest::default_instance());
  ASSERT_TRUE(spaces.ok()) << spaces.status();
  ASSERT_EQ(spaces->spaces_size(), 1);
  EXPECT_EQ(spaces->spaces(0), "default");
}

}  // namespace
}  // namespace penstock::broker
