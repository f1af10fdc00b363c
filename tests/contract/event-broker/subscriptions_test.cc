#include <atomic>
#include <thread>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

TEST_P(EventBrokerTest, ASubscriptionIsCreatedReadAndDeleted) {
  std::string revision;
  const auto created = Create("orders", Wanted(), &revision);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->name(), NameOf("orders"));
  EXPECT_EQ(created->state(), pb::Subscription::ACTIVE);
  EXPECT_EQ(created->revision(), 1);
  EXPECT_EQ(created->effective_sequence(), 1);
  EXPECT_EQ(revision, "event-broker:1");
  EXPECT_EQ(Get("orders")->SerializeAsString(), created->SerializeAsString());
  const std::set<std::string> held = {"spaces/default/functions/bill " + NameOf("orders")};
  // A reconciliation at the start may undo the hold, and is repeated then.
  EXPECT_TRUE(Eventually([&] { return registry_->held() == held; }));
  EXPECT_TRUE(absl::IsAlreadyExists(Create("orders", Wanted()).status()));

  EXPECT_TRUE(absl::IsAborted(Delete("orders", false, "stale")));
  ASSERT_TRUE(Delete("orders", false, created->etag()).ok());
  EXPECT_TRUE(Eventually([&] { return registry_->held().empty(); }));
  EXPECT_TRUE(absl::IsNotFound(Get("orders").status()));
  EXPECT_TRUE(absl::IsNotFound(Delete("orders")));
  const auto again = Create("orders", Wanted());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->uid(), created->uid());
}

TEST_P(EventBrokerTest, CreationsNameTheFieldThatIsWrong) {
  pb::Subscription subscription = Wanted();
  subscription.set_function("missing-one");
  const auto missing = Create("orders", subscription).status();
  EXPECT_TRUE(absl::IsInvalidArgument(missing));
  EXPECT_EQ(FieldsOf(missing), "function");
  EXPECT_EQ(FieldsOf(Create("orders", Wanted("")).status()), "eventType");
  EXPECT_EQ(FieldsOf(Create("bad id", Wanted()).status()), "subscriptionId");
  subscription = Wanted();
  subscription.mutable_retry()->set_max_attempts(-1);
  subscription.set_max_in_flight(5000);
  EXPECT_EQ(FieldsOf(Create("orders", subscription).status()), "maxInFlight,retry.maxAttempts");
  EXPECT_EQ(FieldsOf(Create("orders", Routed("/events/mine")).status()), "http.path");
  EXPECT_EQ(FieldsOf(Create("orders", Routed("no-slash")).status()), "http.path");
  pb::CreateSubscriptionRequest request;
  request.set_parent("default");
  request.set_subscription_id("orders");
  EXPECT_EQ(
      FieldsOf(
          Call(*catalog_, &pb::EventCatalogService::Stub::CreateSubscription, request).status()),
      "parent");
  // What was held on the way is let go behind the answer.
  EXPECT_TRUE(Eventually([&] { return registry_->held().empty(); }));
  // The name is free after all of that.
  EXPECT_TRUE(Create("orders", Wanted()).ok());
}

TEST_P(EventBrokerTest, ValidationAloneChangesNothing) {
  ASSERT_TRUE(Create("orders", Wanted(), nullptr, true).ok());
  EXPECT_TRUE(absl::IsNotFound(Get("orders").status()));
  EXPECT_TRUE(registry_->held().empty());
  ASSERT_TRUE(Create("route", Routed("/a")).ok());
  EXPECT_EQ(FieldsOf(Create("other", Routed("/a"), nullptr, true).status()), "http.path");
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  pb::UpdateSubscriptionRequest update;
  update.mutable_subscription()->set_name(NameOf("orders"));
  update.mutable_subscription()->set_event_type("x");
  update.set_validate_only(true);
  EXPECT_EQ(Update(update)->event_type(), "x");
  EXPECT_EQ(Get("orders")->event_type(), "order.paid");
}

TEST_P(EventBrokerTest, UpdatesChangeWhatTheyName) {
  const auto created = Create("orders", Wanted());
  ASSERT_TRUE(created.ok());
  pb::UpdateSubscriptionRequest update;
  update.mutable_subscription()->set_name(NameOf("orders"));
  update.mutable_subscription()->set_etag("stale");
  update.mutable_subscription()->set_max_in_flight(9);
  EXPECT_TRUE(absl::IsAborted(Update(update).status()));
  update.mutable_subscription()->set_etag(created->etag());
  const auto changed = Update(update);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->max_in_flight(), 9);
  EXPECT_EQ(changed->event_type(), "order.paid");
  EXPECT_EQ(changed->revision(), 2);
  EXPECT_EQ(changed->effective_sequence(), created->effective_sequence());
  EXPECT_TRUE(absl::IsAborted(Update(update).status()));  // The etag is stale now.

  update.mutable_subscription()->clear_etag();
  update.mutable_subscription()->set_event_type("user.*");
  update.mutable_subscription()->set_function("other");
  update.mutable_update_mask()->add_paths("event_type");
  const auto rematched = Update(update);
  ASSERT_TRUE(rematched.ok()) << rematched.status();
  EXPECT_EQ(rematched->function(), "bill");
  EXPECT_GT(rematched->effective_sequence(), created->effective_sequence());
  update.mutable_update_mask()->add_paths("function");
  ASSERT_TRUE(Update(update).ok());
  EXPECT_TRUE(Eventually([&] {
    return registry_->held() ==
           std::set<std::string>{"spaces/default/functions/other " + NameOf("orders")};
  }));
  update.mutable_update_mask()->add_paths("uid");
  EXPECT_EQ(FieldsOf(Update(update).status()), "updateMask");
  update.clear_update_mask();
  update.mutable_subscription()->set_function("missing");
  EXPECT_EQ(FieldsOf(Update(update).status()), "function");
  EXPECT_EQ(Get("orders")->function(), "other");
}

TEST_P(EventBrokerTest, AnUpdateOfNothingCanCreate) {
  pb::UpdateSubscriptionRequest update;
  *update.mutable_subscription() = Wanted();
  update.mutable_subscription()->set_name(NameOf("orders"));
  EXPECT_TRUE(absl::IsNotFound(Update(update).status()));
  update.set_allow_missing(true);
  EXPECT_TRUE(Update(update).ok());
  EXPECT_TRUE(Update(update).ok());
  EXPECT_EQ(Get("orders")->revision(), 2);
}

TEST_P(EventBrokerTest, OfManyCreationsOfOneNameOneWins) {
  std::atomic<int> won = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&] {
      const auto created = Create("orders", Wanted());
      if (created.ok()) ++won;
      if (absl::IsAlreadyExists(created.status()) || absl::IsAborted(created.status())) ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, 31);
  EXPECT_TRUE(Eventually([&] { return registry_->held().size() == 1; }));
}

TEST_P(EventBrokerTest, ParallelUpdatesDoNotOverwriteEachOther) {
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int i = 1; i <= 16; ++i) {
    threads.emplace_back([&, i] {
      pb::UpdateSubscriptionRequest update;
      update.mutable_subscription()->set_name(NameOf("orders"));
      update.mutable_subscription()->set_max_in_flight(i);
      const auto changed = Update(update);
      if (changed.ok()) {
        ++won;
      } else {
        EXPECT_TRUE(absl::IsAborted(changed.status())) << changed.status();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GE(won, 1);
  EXPECT_EQ(Get("orders")->revision(), 1 + won);
}

TEST_P(EventBrokerTest, SubscriptionsAreListedInPages) {
  for (const char* id : {"c", "a", "b"}) {
    pb::Subscription subscription = Wanted(std::string(id) == "b" ? "user.*" : "order.paid");
    (*subscription.mutable_metadata())["team"] = std::string(id) == "a" ? "x" : "y";
    ASSERT_TRUE(Create(id, subscription).ok());
  }
  const auto list = [&](pb::ListSubscriptionsRequest request) {
    request.set_parent("spaces/default");
    std::string names;
    for (int pages = 0; pages < 9; ++pages) {
      const auto page = Call(*catalog_, &pb::EventCatalogService::Stub::ListSubscriptions, request);
      if (!page.ok()) return page.status().ToString();
      for (const auto& found : page->subscriptions()) names += found.name().back();
      if (page->next_page_token().empty()) break;
      request.set_page_token(page->next_page_token());
    }
    return names;
  };
  pb::ListSubscriptionsRequest request;
  EXPECT_EQ(list(request), "abc");
  request.set_page_size(1);
  EXPECT_EQ(list(request), "abc");
  (*request.mutable_metadata())["team"] = "y";
  EXPECT_EQ(list(request), "bc");
  request.set_event_type("user.*");
  EXPECT_EQ(list(request), "b");
  request.Clear();
  request.set_function("nobody");
  EXPECT_EQ(list(request), "");
  pb::Subscription tagged = Wanted();
  const std::string function = tagged.function();
  tagged.set_function(function + "@prod");
  ASSERT_TRUE(Create("t", tagged).ok());
  request.set_function(function);
  EXPECT_EQ(list(request), "abct") << "its aliases are of the function";
  request.set_function(function + "@prod");
  EXPECT_EQ(list(request), "t");
}

TEST_P(EventBrokerTest, ARestartKeepsEverySubscription) {
  const auto created = Create("orders", Wanted());
  ASSERT_TRUE(Create("route", Routed("/hello/:name")).ok());
  ASSERT_TRUE(Create("gone", Wanted()).ok());
  ASSERT_TRUE(Delete("gone").ok());
  // Whether the first start has reconciled by now or not: the second one does.
  const int reconciled = registry_->reconciliations();
  Restart();
  EXPECT_EQ(Get("orders")->SerializeAsString(), created->SerializeAsString());
  EXPECT_EQ(Get("route")->http().path(), "/hello/:name");
  EXPECT_TRUE(absl::IsNotFound(Get("gone").status()));
  EXPECT_EQ(FieldsOf(Create("other", Routed("/hello/:x")).status()), "http.path");
  EXPECT_TRUE(Eventually([&] { return registry_->reconciliations() > reconciled; }));
  EXPECT_TRUE(Eventually([&] { return registry_->held().size() == 2; }));
}

TEST_P(EventBrokerTest, StoppingDoesNotWaitForASilentFunctionManager) {
  registry_->BeSilent();
  std::thread caller([this] { EXPECT_FALSE(Create("orders", Wanted()).ok()); });
  EXPECT_TRUE(Eventually([&] { return registry_->silenced() == 1; }));
  EXPECT_TRUE(absl::IsAborted(Create("orders", Wanted()).status()));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(2)).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  caller.join();
}

}  // namespace
}  // namespace penstock::broker
