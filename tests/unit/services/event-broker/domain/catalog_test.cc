#include <gtest/gtest.h>

#include <functional>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

Subscription Valid() {
  Subscription subscription;
  subscription.space = "default";
  subscription.id = "s1";
  subscription.uid = "u";
  subscription.event_type = "user.*";
  subscription.function = "greet";
  return subscription;
}

std::string FirstField(Subscription subscription) {
  const auto violations = FieldViolationsOf(CheckAndNormalize(subscription));
  return violations.empty() ? "" : violations[0].field;
}

TEST(SubscriptionTest, AcceptsTheDefaults) { EXPECT_EQ(FirstField(Valid()), ""); }

TEST(SubscriptionTest, NamesTheFieldThatIsOutOfRange) {
  const auto with = [](auto change) {
    Subscription subscription = Valid();
    change(subscription);
    return FirstField(subscription);
  };
  EXPECT_EQ(with([](auto& s) { s.function = ""; }), "function");
  EXPECT_EQ(with([](auto& s) { s.event_type = ""; }), "eventType");
  EXPECT_EQ(with([](auto& s) { s.in_flight_max = 0; }), "maxInFlight");
  EXPECT_EQ(with([](auto& s) { s.retry.attempts_max = 0; }), "retry.maxAttempts");
  EXPECT_EQ(with([](auto& s) { s.retry.delay_max = 1ms; }), "retry.maxDelay");
  EXPECT_EQ(with([](auto& s) { s.retry.jitter = 2; }), "retry.jitter");
  EXPECT_EQ(with([](auto& s) { s.timeout = 0ms; }), "timeout");
  EXPECT_EQ(with([](auto& s) { s.metadata[""] = "x"; }), "metadata.");
  EXPECT_EQ(with([](auto& s) { s.http = HttpRoute{"GET", "/x", ""}; }), "eventType");
}

std::string With(const std::function<void(Subscription&)>& change) {
  Subscription subscription = Valid();
  change(subscription);
  return FirstField(subscription);
}

TEST(SubscriptionTest, LimitsHoldAtTheirEdges) {
  EXPECT_EQ(With([](auto& s) { s.ordering = OrderingPolicy{"tenant", {}, 1'000'000}; }), "");
  EXPECT_EQ(With([](auto& s) {
              s.ordering = OrderingPolicy{"tenant", {}, 1'000'001};
            }),
            "ordering.maxHeld");
  EXPECT_EQ(With([](auto& s) {
              s.ordering = OrderingPolicy{"tenant", {}, 0};
            }),
            "ordering.maxHeld");
  EXPECT_EQ(With([](auto& s) { s.ordering = OrderingPolicy{"Tenant", {}, 1}; }), "ordering.by");
  EXPECT_EQ(With([](auto& s) { s.rate_limit = RateLimit{1'000'000, 1}; }), "");
  EXPECT_EQ(With([](auto& s) { s.rate_limit = RateLimit{0, 1}; }), "rateLimit.eventsPerSecond");
  EXPECT_EQ(With([](auto& s) { s.rate_limit = RateLimit{1, 1'000'001}; }), "rateLimit.burst");
  EXPECT_EQ(With([](auto& s) { s.batching = {256, 60s}; }), "");
  EXPECT_EQ(With([](auto& s) { s.batching = {257, 0s}; }), "batching.maxEvents");
  EXPECT_EQ(With([](auto& s) { s.batching = {2, 60s + 1us}; }), "batching.maxWait");
  EXPECT_EQ(With([](auto& s) { s.time_to_live = 1s; }), "");
  EXPECT_EQ(With([](auto& s) { s.time_to_live = 999ms; }), "timeToLive");
  EXPECT_EQ(With([](auto& s) { s.time_to_live = 24h * 365 + 1us; }), "timeToLive");
  EXPECT_EQ(With([](auto& s) { s.start.kind = StartPosition::Kind::kSequence; }), "start.sequence");
}

TEST(SubscriptionTest, SchedulesHaveOneToAHundredDelays) {
  const auto with = [](std::vector<Microseconds> schedule) {
    return With([&](auto& s) {
      s.retry.backoff = Backoff::kSchedule;
      s.retry.schedule = schedule;
    });
  };
  EXPECT_EQ(with({}), "retry.schedule");
  EXPECT_EQ(with({1ms, 24h}), "");
  EXPECT_EQ(with({1ms, 0ms}), "retry.schedule[1]");
  EXPECT_EQ(with({24h + 1us}), "retry.schedule[0]");
  EXPECT_EQ(with(std::vector<Microseconds>(100, 1s)), "");
  EXPECT_EQ(with(std::vector<Microseconds>(101, 1s)), "retry.schedule");
  EXPECT_EQ(With([](auto& s) { s.retry.schedule = {1s}; }), "retry.schedule");
  // What a failing key is tried again at is the longest of them.
  Subscription subscription = Valid();
  subscription.retry.backoff = Backoff::kSchedule;
  subscription.retry.schedule = {2s, 1h, 3s};
  ASSERT_TRUE(CheckAndNormalize(subscription).ok());
  EXPECT_EQ(subscription.retry.delay_max, 1h);
}

TEST(SubscriptionTest, SinksAreOneFunctionOrOneType) {
  const auto with = [](const std::string& function, const std::string& type) {
    return With([&](auto& s) { s.dead_letter_sink = {function, type}; });
  };
  EXPECT_EQ(with("morgue", ""), "");
  EXPECT_EQ(with("", "order.failed"), "");
  EXPECT_EQ(with("morgue", "order.failed"), "deadLetterSink");
  EXPECT_EQ(with("a b", ""), "deadLetterSink.function");
  EXPECT_EQ(with("", "order.*"), "deadLetterSink.eventType");
  EXPECT_EQ(with("", "penstock.failed"), "deadLetterSink.eventType");
}

Subscription Group(std::vector<std::string> functions) {
  Subscription subscription = Valid();
  subscription.function.clear();
  subscription.group = SubscriberGroup{{}, std::move(functions)};
  return subscription;
}

TEST(SubscriptionTest, GroupsHaveTwoToSixteenFunctions) {
  EXPECT_EQ(FirstField(Group({"a", "b"})), "");
  EXPECT_EQ(FirstField(Group({"a"})), "group.functions");
  EXPECT_EQ(FirstField(Group(std::vector<std::string>(17, "a"))), "group.functions");
  EXPECT_EQ(FirstField(Group({"a", "b", ""})), "group.functions[2]");
  Subscription subscription = Group({"a", "b"});
  subscription.function = "c";
  EXPECT_EQ(FirstField(subscription), "function");
  subscription = Group({"a", "b"});
  subscription.batching.events_max = 2;
  EXPECT_EQ(FirstField(subscription), "batching");
}

TEST(SubscriptionTest, PullExcludesWhatIsAboutFunctions) {
  const auto with = [](const std::function<void(Subscription&)>& change) {
    Subscription subscription = Valid();
    subscription.function.clear();
    subscription.pull = PullPolicy{};
    change(subscription);
    return FirstField(subscription);
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_EQ(with([](auto& s) { s.pull->ack_timeout = 999ms; }), "pull.ackTimeout");
  EXPECT_EQ(with([](auto& s) { s.pull->ack_timeout = 12h + 1us; }), "pull.ackTimeout");
  EXPECT_EQ(with([](auto& s) { s.function = "a"; }), "function");
  EXPECT_EQ(with([](auto& s) { s.group = SubscriberGroup{{}, {"a", "b"}}; }), "group");
  EXPECT_EQ(with([](auto& s) { s.timeout = 1s; }), "timeout");
  EXPECT_EQ(with([](auto& s) { s.batching.events_max = 2; }), "batching");
  EXPECT_EQ(with([](auto& s) { s.dead_letter_sink.function = "a"; }), "deadLetterSink.function");
  EXPECT_EQ(with([](auto& s) { s.dead_letter_sink.event_type = "a.b"; }), "");
  EXPECT_EQ(with([](auto& s) { s.ordering = OrderingPolicy(); }), "");
}

TEST(SubscriptionTest, OrderExcludesBatches) {
  EXPECT_EQ(With([](auto& s) {
              s.ordering = OrderingPolicy();
              s.batching.events_max = 2;
            }),
            "batching");
}

TEST(SubscriptionTest, PathsExcludeEverythingAboutDeliveries) {
  const auto with = [](const std::function<void(Subscription&)>& change) {
    Subscription subscription = Valid();
    subscription.event_type.clear();
    subscription.http = HttpRoute{"GET", "/x", ""};
    change(subscription);
    return FirstField(subscription);
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_EQ(with([](auto& s) { s.retry.attempts_max = 3; }), "retry");
  EXPECT_EQ(with([](auto& s) { s.ordering = OrderingPolicy(); }), "ordering");
  EXPECT_EQ(with([](auto& s) { s.rate_limit = RateLimit{1, 1}; }), "rateLimit");
  EXPECT_EQ(with([](auto& s) { s.batching.events_max = 2; }), "batching");
  EXPECT_EQ(with([](auto& s) { s.dead_letter_sink.event_type = "a.b"; }), "deadLetterSink");
  EXPECT_EQ(with([](auto& s) { s.time_to_live = 5s; }), "timeToLive");
  EXPECT_EQ(with([](auto& s) { s.start.kind = StartPosition::Kind::kEarliest; }), "start");
  EXPECT_EQ(with([](auto& s) { s.pull = PullPolicy(); }), "pull");
  EXPECT_EQ(with([](auto& s) { s.group = SubscriberGroup{{}, {"a", "b"}}; }), "group");
}

TEST(SubscriptionTest, TargetsAreInOrderAndHoldsAreNot) {
  Subscription subscription = Group({"z", "a", "z"});
  subscription.dead_letter_sink.function = "m";
  using Texts = std::vector<std::string>;
  EXPECT_EQ(subscription.Targets(), (Texts{"z", "a", "z"}));
  EXPECT_EQ(subscription.FunctionsHeld(), (Texts{"a", "m", "z"}));
  subscription.group.reset();
  subscription.function = "m";
  EXPECT_EQ(subscription.Targets(), (Texts{"m"}));
  EXPECT_EQ(subscription.FunctionsHeld(), (Texts{"m"}));
  subscription.dead_letter_sink = {};
  subscription.function.clear();
  subscription.pull = PullPolicy();
  EXPECT_EQ(subscription.Targets(), Texts{});
  EXPECT_EQ(subscription.FunctionsHeld(), Texts{});
}

TEST(SubscriptionTest, TheFirstRevisionMeetsWhatItStartsWith) {
  Subscription subscription = Valid();
  subscription.effective_sequence = 50;
  EXPECT_EQ(subscription.MatchesFrom(), 50u);
  subscription.start.resolved = 7;
  EXPECT_EQ(subscription.MatchesFrom(), 7u);
  subscription.match_revision = 2;
  EXPECT_EQ(subscription.MatchesFrom(), 50u);
}

TEST(SubscriptionTest, ReportsAllProblemsTogether) {
  Subscription subscription = Valid();
  subscription.function = "";
  subscription.in_flight_max = 5000;
  EXPECT_EQ(FieldViolationsOf(CheckAndNormalize(subscription)).size(), 2u);
}

TEST(HttpRouteTest, NormalizesAndKeysRoutes) {
  HttpRoute route{"get", "/users/:id/*rest", "Example.COM"};
  ASSERT_TRUE(CheckAndNormalize(route).ok());
  EXPECT_EQ(route.method, "GET");
  EXPECT_EQ(route.host, "example.com");
  EXPECT_EQ(RouteKey(route), RouteKey({"GET", "/users/:name/*x", "example.com"}));
  EXPECT_NE(RouteKey(route), RouteKey({"GET", "/users/:id", "example.com"}));
}

TEST(HttpRouteTest, RefusesReservedAndMalformedPaths) {
  for (const char* bad :
       {"users", "/events", "/events/x", "/api/x", "/spaces", "/openapi.json", "/_emit", "/a//b",
        "/*rest/x", "/:", "/:a/:a", "/a?b", "/a b", "/../x", "/events:tail"}) {
    HttpRoute route{"GET", bad, ""};
    EXPECT_FALSE(CheckAndNormalize(route).ok()) << bad;
  }
  HttpRoute route{"FETCH", "/x", ""};
  EXPECT_FALSE(CheckAndNormalize(route).ok());
}

}  // namespace
}  // namespace penstock::broker
