#include <gtest/gtest.h>

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
