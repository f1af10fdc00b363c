#include "services/gateway/domain/route_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using Params = std::vector<std::pair<std::string, std::string>>;

// The subscription says which route was found.
Route MakeRoute(std::string method, std::string path, std::string host = "") {
  Route route;
  route.subscription = method + " " + host + path;
  route.method = std::move(method);
  route.path = std::move(path);
  route.host = std::move(host);
  route.function = "spaces/default/functions/f";
  return route;
}

std::vector<Route> AllRoutes() {
  return {
      MakeRoute("GET", "/"),
      MakeRoute("GET", "/users"),
      MakeRoute("GET", "/users/"),
      MakeRoute("GET", "/users/me"),
      MakeRoute("GET", "/users/:id"),
      MakeRoute("GET", "/users/:id/orders"),
      MakeRoute("GET", "/users/:id/orders/:order"),
      MakeRoute("POST", "/users/:id"),
      MakeRoute("GET", "/files/*path"),
      MakeRoute("GET", "/files/special"),
      MakeRoute("GET", "/files/:name/meta"),
      MakeRoute("GET", "/a/:x/c"),
      MakeRoute("GET", "/a/b/d"),
      MakeRoute("GET", "/a/*rest"),
      MakeRoute("GET", "/deep/x/*rest"),
      MakeRoute("GET", "/deep/:y/z"),
      MakeRoute("GET", "/with%20space"),
      MakeRoute("GET", "/host", "api.example.com"),
      MakeRoute("GET", "/host"),
      MakeRoute("GET", "/only", "api.example.com"),
      MakeRoute("GET", "/wild/:id", "api.example.com"),
      MakeRoute("GET", "/wild/static"),
      MakeRoute("GET", "/six", "[::1]"),
      MakeRoute("HEAD", "/headed"),
      MakeRoute("GET", "/headed"),
      MakeRoute("DELETE", "/*all"),
      MakeRoute("GET", "/upper/Case"),
  };
}

struct Case {
  const char* method;
  const char* host;
  const char* path;
  // Of the route; empty: none.
  const char* expected;
  Params params;
};

class RouteTableMatchTest : public testing::TestWithParam<Case> {};

TEST_P(RouteTableMatchTest, FindsTheMostSpecificRoute) {
  const RouteTable table(AllRoutes());
  const Case& given = GetParam();
  const RouteMatch match = table.Match(given.method, given.host, given.path);
  EXPECT_EQ(match.route == nullptr ? "" : match.route->subscription, given.expected);
  EXPECT_EQ(match.params, given.params);
}

INSTANTIATE_TEST_SUITE_P(
    Static, RouteTableMatchTest,
    testing::Values(
        Case{"GET", "h", "/", "GET /", {}}, Case{"GET", "h", "/users", "GET /users", {}},
        Case{"GET", "h", "/users/", "GET /users/", {}},
        Case{"GET", "h", "/users/me", "GET /users/me", {}}, Case{"GET", "h", "/usersx", "", {}},
        Case{"GET", "h", "/Users", "", {}}, Case{"GET", "h", "/upper/Case", "GET /upper/Case", {}},
        Case{"GET", "h", "/upper/case", "", {}}, Case{"PUT", "h", "/users", "", {}},
        Case{"get", "h", "/users", "", {}}, Case{"GET", "h", "//users", "", {}},
        Case{"GET", "h", "users", "", {}}, Case{"GET", "h", "", "", {}},
        Case{"GET", "h", "*", "", {}}, Case{"GET", "h", "/with%20space", "GET /with%20space", {}},
        Case{"GET", "h", "/us%65rs", "GET /users", {}}));

INSTANTIATE_TEST_SUITE_P(
    Parameters, RouteTableMatchTest,
    testing::Values(Case{"GET", "h", "/users/42", "GET /users/:id", {{"id", "42"}}},
                    Case{"POST", "h", "/users/42", "POST /users/:id", {{"id", "42"}}},
                    Case{"POST", "h", "/users/me", "POST /users/:id", {{"id", "me"}}},
                    Case{"GET", "h", "/users/a%20b", "GET /users/:id", {{"id", "a b"}}},
                    Case{"GET", "h", "/users/a%2Fb", "GET /users/:id", {{"id", "a/b"}}},
                    Case{"GET", "h", "/users/a%zz", "GET /users/:id", {{"id", "a%zz"}}},
                    Case{"GET", "h", "/users/%", "GET /users/:id", {{"id", "%"}}},
                    Case{"GET", "h", "/users/me/orders", "GET /users/:id/orders", {{"id", "me"}}},
                    Case{"GET",
                         "h",
                         "/users/1/orders/2",
                         "GET /users/:id/orders/:order",
                         {{"id", "1"}, {"order", "2"}}},
                    Case{"GET", "h", "/users/1/orders/", "", {}},
                    Case{"GET", "h", "/users//orders", "", {}},
                    Case{"GET", "h", "/users/1/other", "", {}},
                    // A branch that leads nowhere is left for the next best.
                    Case{"GET", "h", "/a/b/c", "GET /a/:x/c", {{"x", "b"}}},
                    Case{"GET", "h", "/a/b/d", "GET /a/b/d", {}},
                    Case{"GET", "h", "/a/q/c", "GET /a/:x/c", {{"x", "q"}}},
                    Case{"GET", "h", "/deep/x/z", "GET /deep/x/*rest", {{"rest", "z"}}},
                    Case{"GET", "h", "/deep/q/z", "GET /deep/:y/z", {{"y", "q"}}}));

INSTANTIATE_TEST_SUITE_P(
    Wildcards, RouteTableMatchTest,
    testing::Values(
        Case{"GET", "h", "/files/x", "GET /files/*path", {{"path", "x"}}},
        Case{"GET", "h", "/files/x/y/z", "GET /files/*path", {{"path", "x/y/z"}}},
        Case{"GET", "h", "/files/x/", "GET /files/*path", {{"path", "x/"}}},
        Case{"GET", "h", "/files/", "GET /files/*path", {{"path", ""}}},
        Case{"GET", "h", "/files", "", {}},
        Case{"GET", "h", "/files/special", "GET /files/special", {}},
        Case{"GET", "h", "/files/special/x", "GET /files/*path", {{"path", "special/x"}}},
        Case{"GET", "h", "/files/n/meta", "GET /files/:name/meta", {{"name", "n"}}},
        Case{"GET", "h", "/files/a%2Fb%20c", "GET /files/*path", {{"path", "a/b c"}}},
        Case{"GET", "h", "/a/b/e", "GET /a/*rest", {{"rest", "b/e"}}},
        Case{"GET", "h", "/a/b", "GET /a/*rest", {{"rest", "b"}}},
        Case{"DELETE", "h", "/anything/at/all", "DELETE /*all", {{"all", "anything/at/all"}}},
        Case{"DELETE", "h", "/", "DELETE /*all", {{"all", ""}}}));

INSTANTIATE_TEST_SUITE_P(
    HostsAndHead, RouteTableMatchTest,
    testing::Values(Case{"GET", "api.example.com", "/host", "GET api.example.com/host", {}},
                    Case{"GET", "API.Example.com:8080", "/host", "GET api.example.com/host", {}},
                    Case{"GET", "other.com", "/host", "GET /host", {}},
                    Case{"GET", "", "/host", "GET /host", {}},
                    Case{"GET", "other.com", "/only", "", {}},
                    // A route of the host comes first even where another is more specific.
                    Case{"GET",
                         "api.example.com",
                         "/wild/static",
                         "GET api.example.com/wild/:id",
                         {{"id", "static"}}},
                    Case{"GET", "h", "/wild/static", "GET /wild/static", {}},
                    Case{"GET", "api.example.com", "/users", "GET /users", {}},
                    Case{"GET", "[::1]:8080", "/six", "GET [::1]/six", {}},
                    Case{"HEAD", "h", "/users", "GET /users", {}},
                    Case{"HEAD", "h", "/headed", "HEAD /headed", {}},
                    Case{"HEAD", "api.example.com", "/only", "GET api.example.com/only", {}},
                    Case{"HEAD", "h", "/nothing", "", {}}));

TEST(RouteTableTest, IsEmptyWithoutRoutes) {
  const RouteTable table({});
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.Match("GET", "h", "/").route, nullptr);
}

TEST(RouteTableTest, KeepsTheFirstOfTwoRoutesOfOneShape) {
  const RouteTable table({MakeRoute("GET", "/x/:a"), MakeRoute("GET", "/x/:b")});
  const RouteMatch match = table.Match("GET", "", "/x/1");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->path, "/x/:a");
  EXPECT_THAT(match.params, ElementsAre(Pair("a", "1")));
}

TEST(RouteTableTest, DoesNotLookAtPathsOfTooManySegments) {
  const RouteTable table({MakeRoute("GET", "/*rest")});
  std::string path;
  for (int i = 0; i < 600; ++i) path += "/s";
  EXPECT_EQ(table.Match("GET", "", path).route, nullptr);
}

// Parameters at every level make a tree that a search without bounds would walk exponentially.
TEST(RouteTableTest, SearchesQuicklyWhereManyBranchesFail) {
  std::vector<Route> routes;
  std::string path;
  for (int i = 0; i < 20; ++i) {
    path += "/a";
    routes.push_back(MakeRoute("GET", path + "/:p/end"));
  }
  const RouteTable table(std::move(routes));
  std::string asked;
  for (int i = 0; i < 400; ++i) asked += "/a";
  EXPECT_EQ(table.Match("GET", "", asked).route, nullptr);
}

TEST(HostNameTest, TakesThePortAway) {
  EXPECT_EQ(HostName("Example.COM:80"), "example.com");
  EXPECT_EQ(HostName("example.com"), "example.com");
  EXPECT_EQ(HostName("[::1]:8080"), "[::1]");
  EXPECT_EQ(HostName("[::1]"), "[::1]");
  EXPECT_EQ(HostName(""), "");
}

}  // namespace
}  // namespace penstock::gateway
