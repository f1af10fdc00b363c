#include "libs/transcode/route_table.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "libs/transcode/path_template.h"
#include "libs/transcode/percent.h"
#include "tests/unit/libs/transcode/thing_routes.h"

namespace penstock::transcode {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// "Method binding|binding", "405 allowed" or "404".
std::string Match(std::string_view method, std::string_view path) {
  const MatchResult result = ThingRoutes().Match(method, path);
  if (result.route == nullptr) {
    if (result.allowed_methods.empty()) return "404";
    return fmt::format("405 {}", fmt::join(result.allowed_methods, ","));
  }
  EXPECT_THAT(result.allowed_methods, IsEmpty());
  return fmt::format("{} {}", result.route->method->name(), fmt::join(result.bindings, "|"));
}

TEST(RouteTableTest, MatchesTemplates) {
  EXPECT_EQ(Match("POST", "/v1/spaces/a/things"), "CreateThing spaces/a");
  EXPECT_EQ(Match("GET", "/v1/spaces/a/things"), "ListThings spaces/a");
  EXPECT_EQ(Match("GET", "/v1/spaces/a/things/b"), "GetThing spaces/a/things/b");
  EXPECT_EQ(Match("GET", "/short/x"), "GetThing x");
  EXPECT_EQ(Match("PATCH", "/v1/spaces/a/things/b"), "UpdateThing spaces/a/things/b");
  EXPECT_EQ(Match("GET", "/numbers/5"), "GetNumber 5");
  EXPECT_EQ(Match("LOCK", "/numbers/5"), "GetNumber 5");
  EXPECT_EQ(Match("GET", "/"), "GetNumber ");
}

TEST(RouteTableTest, PrefersTheMoreSpecific) {
  EXPECT_EQ(Match("GET", "/v1/spaces/a/things/special"), "GetSpecial ");
  EXPECT_EQ(Match("GET", "/files/readme/a"), "GetNumber a");
  EXPECT_EQ(ThingRoutes().Match("GET", "/files/readme/a").route->path_template,
            "/files/readme/{rest=*}");
  // The special literal has no DELETE; the wildcard has.
  EXPECT_EQ(Match("DELETE", "/v1/spaces/a/things/special"), "DeleteThing spaces/a/things/special");
}

TEST(RouteTableTest, MatchesTheRestOfAPath) {
  EXPECT_EQ(Match("GET", "/files/a/b/c"), "GetNumber a/b/c");
  EXPECT_EQ(Match("GET", "/files/readme/a/b"), "GetNumber readme/a/b");
  EXPECT_EQ(Match("GET", "/files"), "GetNumber ");
  EXPECT_EQ(Match("GET", "/files/"), "GetNumber ");
  EXPECT_EQ(Match("GET", "/zip/a/b:unpack"), "GetNumber a/b");
  EXPECT_EQ(Match("GET", "/zip/a/b"), "404");
}

TEST(RouteTableTest, MatchesVerbs) {
  EXPECT_EQ(Match("POST", "/v1/spaces/a/things/b:pause"), "PauseThing spaces/a/things/b");
  EXPECT_EQ(Match("POST", "/v1/spaces/a/things/b:c:pause"), "PauseThing spaces/a/things/b:c");
  EXPECT_EQ(Match("GET", "/v1/things:watch"), "WatchThings ");
  EXPECT_EQ(Match("GET", "/v1/spaces/a/things/b:c"), "GetThing spaces/a/things/b:c");
  EXPECT_EQ(Match("GET", "/v1/spaces/a/things/b%3Apause"), "GetThing spaces/a/things/b%3Apause");
  EXPECT_EQ(Match("GET", "/v1/things:nope"), "404");
  EXPECT_EQ(Match("GET", "/v1/things"), "404");
}

TEST(RouteTableTest, TellsWrongMethodFromUnknownPath) {
  EXPECT_EQ(Match("PUT", "/v1/spaces/a/things"), "405 GET,POST");
  EXPECT_EQ(Match("POST", "/v1/spaces/a/things/b"), "405 DELETE,GET,PATCH");
  EXPECT_EQ(Match("PUT", "/v1/spaces/a/things/special"), "405 DELETE,GET,PATCH");
  EXPECT_EQ(Match("get", "/numbers/5"), "405 GET,LOCK");
  for (const char* path : {"", "x", "/v1", "/v1/", "/v1/spaces/a", "/v1/spaces//things",
                           "/v1/spaces/a/things/", "/v1/spaces/a/things/b/c", "//", "/numbers/",
                           "/V1/spaces/a/things", "/v1/spaces/a/things/b/"}) {
    EXPECT_EQ(Match("GET", path), "404") << path;
  }
}

TEST(RouteTableTest, ComparesLiteralsDecoded) {
  EXPECT_EQ(Match("GET", "/v1/sp%61ces/a/things/b"), "GetThing sp%61ces/a/things/b");
  EXPECT_EQ(Match("GET", "/v1/spaces%2Fa/things/b"), "404");
  EXPECT_EQ(Match("GET", "/numb%zzers/5"), "404");
}

TEST(RouteTableTest, DescribesItsRoutes) {
  const MatchResult result = ThingRoutes().Match("GET", "/v1/things:watch");
  ASSERT_NE(result.route, nullptr);
  EXPECT_EQ(result.route->full_method, "/penstock.testing.transcode.ThingService/WatchThings");
  EXPECT_TRUE(result.route->server_streaming);
  EXPECT_FALSE(result.route->client_streaming);
  EXPECT_EQ(result.route->request_prototype->GetDescriptor()->name(), "ListThingsRequest");
  EXPECT_EQ(result.route->response_prototype->GetDescriptor()->name(), "Thing");
  EXPECT_EQ(ThingRoutes().routes().front()->method->name(), "CreateThing");
}

TEST(RouteTableTest, RefusesBadRules) {
  const auto refusal = [](std::string_view name) {
    const google::protobuf::ServiceDescriptor* services[] = {TestService(name)};
    const auto table = RouteTable::Build(services);
    return table.ok() ? "accepted" : std::string(table.status().message());
  };
  EXPECT_THAT(refusal("BadVariableService"), HasSubstr("variable nope: no such field"));
  EXPECT_THAT(refusal("RepeatedVariableService"), HasSubstr("variable tag: is repeated"));
  EXPECT_THAT(refusal("MessageVariableService"), HasSubstr("variable thing: expected a scalar"));
  EXPECT_THAT(refusal("BadBodyService"), HasSubstr("body nope: no such field"));
  EXPECT_THAT(refusal("BadTemplateService"), HasSubstr("** is allowed at the end only"));
  EXPECT_THAT(refusal("ConflictService"),
              HasSubstr("GetAgain: GET /v1/spaces/{thing_id} takes the same paths as "
                        "/v1/{name=spaces/*} of penstock.testing.transcode.ConflictService.Get"));
}

TEST(RouteTableTest, RandomPathsNeverBreakIt) {
  std::mt19937 random(1);
  static constexpr const char* kPieces[] = {"/", "v1", "spaces", "things", ":", "%",      "%2F",
                                            "a", "*",  "files",  "zip",    "?", ":unpack"};
  int matched = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string path = "/";
    for (std::uint32_t n = random() % 10; n > 0; --n) path += kPieces[random() % 13];
    const MatchResult result = ThingRoutes().Match("GET", path);
    if (result.route == nullptr) continue;
    ++matched;
    ASSERT_EQ(result.bindings.size(), result.route->variables.size());
    for (const std::string_view binding : result.bindings) {
      ASSERT_NE(path.find(binding), std::string::npos);
    }
  }
  EXPECT_GT(matched, 10);
  EXPECT_EQ(Match("GET", std::string(1'000'000, '/')), "404");
}

TEST(PathTemplateTest, Parses) {
  const auto parsed = ParsePathTemplate("/v1/{a.b=x/*/y}/*/{rest=**}:verb");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->segments.size(), 6u);
  EXPECT_EQ(parsed->verb, "verb");
  ASSERT_EQ(parsed->variables.size(), 2u);
  EXPECT_EQ(parsed->variables[0].name, "a.b");
  EXPECT_EQ(parsed->variables[0].begin, 1u);
  EXPECT_EQ(parsed->variables[0].end, 4u);
  for (const char* bad : {"", "v1", "/v1/", "//", "/{", "/{a", "/{}", "/{a={b}}", "/{a=}", "/a:",
                          "/a:b/c", "/a}", "/{a}b", "/a*", "/***", "/**/a", "/a?b", "/{a=b"}) {
    EXPECT_FALSE(ParsePathTemplate(bad).ok()) << bad;
  }
}

TEST(PercentTest, Decodes) {
  const auto decode = [](std::string_view text, PercentRule rule) {
    std::string out;
    return PercentDecode(text, rule, &out) ? out : "refused";
  };
  EXPECT_EQ(decode("a%20b+c%2F%2f", PercentRule::kSegment), "a b+c//");
  EXPECT_EQ(decode("a%20b+c%2F%2f", PercentRule::kSegments), "a b+c%2F%2f");
  EXPECT_EQ(decode("a%20b+c%2F", PercentRule::kQuery), "a b c/");
  for (const char* bad : {"%", "%2", "a%zz", "%2g"}) {
    EXPECT_EQ(decode(bad, PercentRule::kSegment), "refused");
  }
}

}  // namespace
}  // namespace penstock::transcode
