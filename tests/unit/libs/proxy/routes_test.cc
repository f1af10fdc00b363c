#include "libs/proxy/routes.h"

#include <gtest/gtest.h>

#include "libs/base/status.h"

namespace penstock::proxy {
namespace {

// Rules of one table that all cases run against; a case names the rule that it expects.
const std::vector<RouteRule>& Rules() {
  static const std::vector<RouteRule> rules{
      {.path_prefix = "/"},                                             // 0
      {.path_prefix = "/shop"},                                         // 1
      {.path_prefix = "/shop/admin", .methods = {"GET", "HEAD"}},       // 2
      {.path_prefix = "/shop/admin", .headers = {{"X-Role", "root"}}},  // 3
      {.path_template = "/shop/*/reviews"},                             // 4
      {.path_template = "/shop/{id}/reviews:export"},                   // 5
      {.host = "api.example.com", .path_prefix = "/"},                  // 6
      {.host = "*.example.com", .path_prefix = "/shop/deep/path"},      // 7
      {.host = "*.eu.example.com", .path_prefix = "/"},                 // 8
      {.path_prefix = "/files/"},                                       // 9
      {.path_template = "/files/*/raw/**"},                             // 10
      {.path_prefix = "/beta", .headers = {{"X-Beta", std::nullopt}}},  // 11
      {.path_prefix = "/caf\xc3\xa9"},                                  // 12
  };
  return rules;
}

Routes Table() {
  auto routes = Routes::Create(Rules());
  EXPECT_TRUE(routes.ok()) << routes.status();
  return *std::move(routes);
}

struct Case {
  std::string_view method;
  std::string_view host;
  std::string_view path;
  http::Headers headers;
  std::size_t rule;
};

TEST(RoutesTest, TakesTheMostSpecificRoute) {
  const Routes routes = Table();
  const Case cases[] = {
      {"GET", "x", "/", {}, 0},
      {"GET", "x", "/other", {}, 0},
      {"GET", "x", "/shops", {}, 0},
      {"GET", "x", "/shop", {}, 1},
      {"GET", "x", "/shop/", {}, 1},
      {"GET", "x", "/shop/1", {}, 1},
      // Both spell out "/shop"; the template says more.
      {"POST", "x", "/shop/1/reviews", {}, 4},
      {"POST", "x", "/shop/1/reviews/2", {}, 1},
      {"GET", "x", "/shop/1/reviews:export", {}, 5},
      {"GET", "x", "/shop/admin", {}, 2},
      {"HEAD", "x", "/shop/admin/users", {}, 2},
      {"POST", "x", "/shop/admin", {}, 1},
      {"GET", "x", "/shop/admin", {{"X-Role", "root"}}, 3},
      {"POST", "x", "/shop/admin", {{"x-role", "root"}}, 3},
      {"POST", "x", "/shop/admin", {{"X-Role", "guest"}}, 1},
      {"POST", "x", "/shop/admin", {{"X-Role", "guest"}, {"X-Role", "root"}}, 3},
      {"GET", "api.example.com", "/shop", {}, 6},
      {"GET", "API.Example.com:8443", "/", {}, 6},
      {"GET", "example.com", "/shop/deep/path", {}, 1},
      {"GET", "a.example.com", "/shop/deep/path", {}, 7},
      {"GET", "a.example.com", "/shop", {}, 1},
      {"GET", "a.b.example.com", "/shop/deep/path/x", {}, 7},
      {"GET", "a.eu.example.com", "/shop/deep/path", {}, 8},
      {"GET", "eu.example.com", "/shop/deep/path", {}, 7},
      {"GET", "notexample.com", "/shop/deep/path", {}, 1},
      {"GET", "[::1]:80", "/shop", {}, 1},
      {"GET", "x", "/files", {}, 0},
      {"GET", "x", "/files/", {}, 9},
      {"GET", "x", "/files/7", {}, 9},
      {"GET", "x", "/beta", {}, 0},
      {"GET", "x", "/beta", {{"X-Beta", ""}}, 11},
      {"GET", "x", "/beta/1", {{"x-beta", "on"}}, 11},
      // Percent-encoding is undone, but an encoded slash is none.
      {"GET", "x", "/%73hop", {}, 1},
      {"GET", "x", "/shop%2Fadmin", {}, 0},
      {"GET", "x", "/shop%2fadmin", {}, 0},
      {"GET", "x", "/sh%zzop", {}, 0},
      {"GET", "x", "/caf%C3%A9", {}, 12},
      {"GET", "x", "/caf%c3%a9/menu", {}, 12},
  };
  for (const Case& c : cases) {
    const auto found = routes.Find({c.method, c.host, c.path, c.headers});
    ASSERT_TRUE(found.has_value()) << c.method << " " << c.host << c.path;
    EXPECT_EQ(*found, c.rule) << c.method << " " << c.host << c.path;
  }
}

TEST(RoutesTest, TemplatesMatchWholeSegments) {
  const auto routes = Routes::Create({{.path_template = "/v1/*/orders"},
                                      {.path_template = "/v1/{user=users/*}/cart:clear"},
                                      {.path_template = "/files/**"},
                                      {.path_template = "/exact"}});
  ASSERT_TRUE(routes.ok()) << routes.status();
  const http::Headers none;
  const std::pair<std::string_view, std::optional<std::size_t>> cases[] = {
      {"/v1/a/orders", 0},
      {"/v1//orders", std::nullopt},
      {"/v1/a/b/orders", std::nullopt},
      {"/v1/a/orders/", std::nullopt},
      {"/v1/a%2Fb/orders", 0},
      {"/v1/users/7/cart:clear", 1},
      {"/v1/users/7/cart", std::nullopt},
      {"/v1/users/7/cart:fill", std::nullopt},
      {"/files", 2},  // `**` covers nothing too, as the rule's definition has it.
      {"/files/", 2},
      {"/files/a/b/c", 2},
      {"/filesystem", std::nullopt},
      {"/exact", 3},
      {"/exact/", std::nullopt},
      {"/", std::nullopt},
      {"*", std::nullopt},
  };
  for (const auto& [path, rule] : cases) {
    EXPECT_EQ(routes->Find({"GET", "x", path, none}), rule) << path;
  }
}

TEST(RoutesTest, TheMoreSpelledOutTemplateBeatsAPrefix) {
  const auto routes = Routes::Create({{.path_prefix = "/a"},
                                      {.path_template = "/a/*"},
                                      {.path_template = "/a/b/*"},
                                      {.path_prefix = "/a/b/c"}});
  ASSERT_TRUE(routes.ok()) << routes.status();
  const http::Headers none;
  EXPECT_EQ(routes->Find({"GET", "x", "/a/x", none}), 1u);
  EXPECT_EQ(routes->Find({"GET", "x", "/a/b/x", none}), 2u);
  EXPECT_EQ(routes->Find({"GET", "x", "/a/b/c", none}), 3u);
  EXPECT_EQ(routes->Find({"GET", "x", "/a/x/y", none}), 0u);
}

TEST(RoutesTest, RefusesRulesThatCannotBeRead) {
  struct Bad {
    RouteRule rule;
    std::string_view field;
  };
  const Bad cases[] = {
      {{}, "[1].path_prefix"},
      {{.path_prefix = "shop"}, "[1].path_prefix"},
      {{.path_prefix = "/a b"}, "[1].path_prefix"},
      {{.path_prefix = "/a?b"}, "[1].path_prefix"},
      {{.path_prefix = "/a", .path_template = "/b"}, "[1].path_prefix"},
      {{.path_template = "/{"}, "[1].path_template"},
      {{.path_template = "/**/a"}, "[1].path_template"},
      {{.host = "*", .path_prefix = "/"}, "[1].host"},
      {{.host = "a.*.com", .path_prefix = "/"}, "[1].host"},
      {{.host = "a:80", .path_prefix = "/"}, "[1].host"},
      {{.path_prefix = "/", .methods = {"GET", "P OST"}}, "[1].methods[1]"},
      {{.path_prefix = "/", .headers = {{"bad name", "x"}}}, "[1].headers[0]"},
      {{.path_prefix = "/", .headers = {{"a", "x\n"}}}, "[1].headers[0]"},
      {{.path_prefix = "/first"}, "[1]"},
      {{.host = "", .path_prefix = "/first", .methods = {}}, "[1]"},
  };
  for (const Bad& bad : cases) {
    const auto routes = Routes::Create({{.path_prefix = "/first"}, bad.rule});
    ASSERT_FALSE(routes.ok()) << bad.field << " " << bad.rule.path_prefix;
    const auto violations = FieldViolationsOf(routes.status());
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].field, bad.field);
  }
}

TEST(RoutesTest, ReplacesAPrefixSegmentBySegment) {
  const std::tuple<std::string_view, std::string_view, std::string_view, std::string_view> cases[] =
      {{"/shop/a?b=c", "/shop", "/v2", "/v2/a?b=c"},
       {"/shop", "/shop", "/v2", "/v2"},
       {"/shop?x", "/shop", "/v2", "/v2?x"},
       {"/shop/", "/shop", "/v2", "/v2/"},
       {"/shop/a", "/shop", "/", "/a"},
       {"/shop", "/shop", "/", "/"},
       {"/shop?x", "/shop", "/", "/?x"},
       {"/%73hop/a%2Fb", "/shop", "/v2", "/v2/a%2Fb"},
       {"/shop/a", "/", "/v2", "/v2/shop/a"},
       {"/a/b/c/d", "/a/b", "/x/y/z", "/x/y/z/c/d"},
       {"/shop/a", "/shop/", "/v2/", "/v2/a"},
       {"/shop/a?next=/shop/b", "/shop", "/v2", "/v2/a?next=/shop/b"}};
  for (const auto& [target, prefix, replacement, expected] : cases) {
    EXPECT_EQ(ReplacePrefix(target, prefix, replacement), expected) << target;
  }
}

TEST(RoutesTest, FindsDotSegments) {
  for (const char* path : {"/..", "/a/../b", "/a/./b", "/.", "/a/..", "/%2e%2e/a", "/a/.%2E/b",
                           "/a/%2e", "/a\\..\\b", "/a%5c..%5cb", "/a/..%2fb", "/a%2f../b",
                           "/a/..;/b", "/a/..;x=1/b", "/a/%2e%2e/b/%zz", "/%/../b", "/a/..%3b"}) {
    EXPECT_TRUE(HasDotSegment(path)) << path;
  }
  for (const char* path : {"/", "/a/...", "/.well-known/x", "/a..b", "/a/..b", "/a/b..", "/%2f..x",
                           "/a%2E/b", "/a;../b", "/a%2fb", "/100%", "/%25%32e%25%32e/b", "*"}) {
    EXPECT_FALSE(HasDotSegment(path)) << path;
  }
}

}  // namespace
}  // namespace penstock::proxy
