#include "libs/transcode/route_code.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "libs/transcode/by_code.h"
#include "libs/transcode/transcoder.h"
#include "tests/unit/libs/transcode/thing_routes.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

constexpr std::string_view kThings = "/v1/spaces/a/things";

std::unique_ptr<Message> ByCode(std::string_view method, std::string_view path,
                                std::string_view query = {}, std::string_view body = {}) {
  const MatchResult match = ThingRoutes().Match(method, path);
  if (match.route == nullptr) return nullptr;
  return BuildByCode(*match.route, match.bindings, query, {"application/json", body});
}

TEST(RouteCodeTest, HasTheBindingsThatTheDescriptorsHave) {
  const google::protobuf::ServiceDescriptor* services[] = {TestService("ThingService")};
  const auto read = ReadBindings(services);
  const char* names[] = {"penstock.testing.transcode.ThingService"};
  const auto generated = GeneratedBindings(names);
  ASSERT_TRUE(read.ok() && generated.ok());
  ASSERT_EQ(read->size(), generated->size());
  for (std::size_t i = 0; i < read->size(); ++i) {
    const Binding &a = (*read)[i], &b = (*generated)[i];
    EXPECT_EQ(a.method, b.method);
    EXPECT_EQ(a.http_method, b.http_method);
    EXPECT_EQ(a.path_template, b.path_template);
    EXPECT_EQ(a.body, b.body);
    EXPECT_EQ(a.response_body, b.response_body);
    EXPECT_NE(b.code, nullptr);
  }
}

TEST(RouteCodeTest, NamesAServiceThatIsNotLinkedIn) {
  const char* names[] = {"no.Such"};
  EXPECT_THAT(std::string(GeneratedBindings(names).status().message()), HasSubstr("no.Such"));
}

// What the code is there for must not be left to reflection.
TEST(RouteCodeTest, DecidesWhatIsRight) {
  EXPECT_NE(ByCode("POST", kThings, "thingId=b", R"({"displayName":"x"})"), nullptr);
  EXPECT_NE(ByCode("PATCH", "/v1/spaces/a/things/b", "", R"({"tags":["x"]})"), nullptr);
  EXPECT_NE(ByCode("POST", "/v1/spaces/a/things/b:pause", "", R"({"name":"spaces/a/things/b"})"),
            nullptr);
  EXPECT_NE(ByCode("GET", "/short/a%2Fb"), nullptr);
  EXPECT_NE(ByCode("GET", "/numbers/5"), nullptr);
  EXPECT_NE(ByCode("GET", kThings,
                   "pageSize=5&page_token=a%26b+c&tag=x&tag=y&orders=ORDER_NEWEST&orders=0"
                   "&near.url=u&near.weight=-3&afterTime=2026-01-02T03:04:05Z&maxAge=1.5s"
                   "&readMask=displayName,tags&active=false&order=1&since=18446744073709551615"
                   "&cursor=YQ&&byUser=u&"),
            nullptr);
  EXPECT_NE(ByCode("PUT", "/echo", "", "raw"), nullptr);
}

TEST(RouteCodeTest, GivesUpOnWhatIsWrong) {
  for (const char* query :
       {"nope=1", "near=1", "near.=1", ".near=1", "near.nope=1", "pageSize=1&page_size=2",
        "pageSize=x", "tag=%ff", "tag=%f", "byUser=a&byTeam=b", "parent=spaces/z", "metadata.a=1",
        "targets=1", "afterTime.seconds=1", "=1", "order=NOPE", "active=1"}) {
    EXPECT_EQ(ByCode("GET", kThings, query), nullptr) << query;
  }
  EXPECT_EQ(ByCode("POST", kThings, "thing.name=x"), nullptr);
  EXPECT_EQ(ByCode("POST", kThings, "", "[]"), nullptr);
  EXPECT_EQ(ByCode("POST", "/v1/spaces/a/things/b:pause", "", R"({"name":"other"})"), nullptr);
  EXPECT_EQ(ByCode("DELETE", "/v1/spaces/a/things/b", "", "{}"), nullptr);
  EXPECT_EQ(ByCode("GET", "/numbers/x"), nullptr);
}

// Whatever the code accepts, reflection reads as the same message.
TEST(RouteCodeTest, AgreesWithReflection) {
  std::mt19937 random(3);
  static constexpr const char* kNames[] = {"pageSize",       "page_token",  "tag",        "orders",
                                           "near.url",       "near.weight", "afterTime",  "maxAge",
                                           "readMask",       "active",      "order",      "since",
                                           "cursor",         "byUser",      "byTeam",     "parent",
                                           "near",           "targets.url", "metadata.k", "nope",
                                           "near.headers.a", "tag.x"};
  static constexpr const char* kValues[] = {
      "1", "-3",  "x",  "true", "1.5s", "ORDER_NEWEST", "a%20b", "YQ", "2026-01-02T03:04:05Z",
      "",  "%zz", "a,b"};
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string query;
    for (std::uint32_t n = random() % 4; n > 0; --n) {
      query += kNames[random() % std::size(kNames)];
      query += "=";
      query += kValues[random() % std::size(kValues)];
      query += "&";
    }
    const MatchResult match = ThingRoutes().Match("GET", kThings);
    const auto by_code = BuildByCode(*match.route, match.bindings, query, {});
    if (by_code == nullptr) continue;
    ++accepted;
    const auto by_reflection = BuildByReflection(*match.route, match.bindings, query, {});
    ASSERT_TRUE(by_reflection.ok()) << query << ": " << by_reflection.status();
    ASSERT_TRUE(MessageDifferencer::Equals(*by_code, **by_reflection)) << query;
  }
  EXPECT_GT(accepted, 5'000);
}

TEST(RouteCodeTest, WritesWhatReflectionWrites) {
  penstock::testing::transcode::ListThingsResponse list;
  list.add_things()->set_display_name("x");
  list.add_things();
  for (const char* path : {"/v1/spaces/a/things", "/v1/spaces/a/thingsOnly"}) {
    const MatchResult match = ThingRoutes().Match("GET", path);
    std::string by_code;
    ASSERT_TRUE(WriteByCode(*match.route, list, {}, &by_code)) << path;
    const auto* field = match.route->response_body_field;
    const auto by_reflection =
        field == nullptr ? protojson::PrintJson(list) : protojson::PrintJsonField(list, field);
    EXPECT_EQ(by_code, by_reflection.value());
  }
}

}  // namespace
}  // namespace penstock::transcode
