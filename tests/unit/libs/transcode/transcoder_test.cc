#include "libs/transcode/transcoder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/api/httpbody.pb.h>
#include <google/protobuf/empty.pb.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "libs/base/status.h"
#include "tests/unit/libs/transcode/thing_routes.h"

namespace penstock::transcode {
namespace {

using namespace penstock::testing::transcode;  // the messages of the test service
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> BuildAny(std::string_view method,
                                                                    std::string_view path,
                                                                    std::string_view query,
                                                                    std::string_view body) {
  const MatchResult match = ThingRoutes().Match(method, path);
  if (match.route == nullptr) return absl::NotFoundError("no route");
  return BuildRequest(*match.route, match.bindings, query, {"application/json", body});
}

template <typename Request>
Request Build(std::string_view method, std::string_view path, std::string_view query = {},
              std::string_view body = {}) {
  const auto message = BuildAny(method, path, query, body);
  EXPECT_TRUE(message.ok()) << path << "?" << query << ": " << message.status();
  const auto* request = message.ok() ? dynamic_cast<const Request*>(message->get()) : nullptr;
  return request == nullptr ? Request() : *request;
}

// The message of the error; its violation must name what the message starts with.
std::string Refusal(std::string_view method, std::string_view path, std::string_view query = {},
                    std::string_view body = {}) {
  const auto message = BuildAny(method, path, query, body);
  if (message.ok()) return "accepted";
  EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << message.status();
  return std::string(message.status().message());
}

constexpr std::string_view kThings = "/v1/spaces/a/things";
constexpr std::string_view kThing = "/v1/spaces/a/things/b";

TEST(BuildRequestTest, TakesBodyPathAndQuery) {
  const auto request = Build<CreateThingRequest>("POST", kThings, "thingId=b",
                                                 R"({"displayName":"x","tags":["t"]})");
  EXPECT_EQ(request.parent(), "spaces/a");
  EXPECT_EQ(request.thing_id(), "b");
  EXPECT_EQ(request.thing().display_name(), "x");
  EXPECT_EQ(request.thing().tags_size(), 1);
  EXPECT_FALSE(Build<CreateThingRequest>("POST", kThings).has_thing());
}

TEST(BuildRequestTest, DecodesPathVariables) {
  EXPECT_EQ(Build<GetThingRequest>("GET", "/short/a%2Fb%20c%3A+").name(), "a/b c:+");
  EXPECT_EQ(Build<GetThingRequest>("GET", "/v1/spaces/a/things/x%2Fy%20z").name(),
            "spaces/a/things/x%2Fy z");
  EXPECT_EQ(Build<NumberRequest>("GET", "/files/a%2Fb/c").rest(), "a%2Fb/c");
  EXPECT_EQ(Build<NumberRequest>("GET", "/numbers/-5").number(), -5);
  EXPECT_THAT(Refusal("GET", "/numbers/x"), HasSubstr("number: expected an integer"));
  EXPECT_THAT(Refusal("GET", "/short/%zz"), HasSubstr("name: expected valid percent-encoding"));
  EXPECT_THAT(Refusal("GET", "/short/%ff"), HasSubstr("name: expected text in UTF-8"));
}

TEST(BuildRequestTest, ReadsQueryParametersOfEveryType) {
  const auto request = Build<ListThingsRequest>(
      "GET", kThings,
      "pageSize=5&page_token=a%26b+c&tag=x&tag=y&orders=ORDER_NEWEST&orders=0&near.url=u"
      "&near.weight=-3&afterTime=2026-01-02T03:04:05Z&maxAge=1.5s&readMask=displayName,tags"
      "&active=false&metadata.k.l=v&metadata[m]=w&counts[x]=7&order=1&since=18446744073709551615"
      "&cursor=YQ&near.headers.h=1&&byUser=u&");
  EXPECT_EQ(request.page_size(), 5);
  EXPECT_EQ(request.page_token(), "a&b c");
  EXPECT_THAT(request.tag(), ElementsAre("x", "y"));
  EXPECT_THAT(request.orders(), ElementsAre(ORDER_NEWEST, ORDER_UNSPECIFIED));
  EXPECT_EQ(request.near().url(), "u");
  EXPECT_EQ(request.near().weight(), -3);
  EXPECT_EQ(request.near().headers().at("h"), "1");
  EXPECT_EQ(request.after_time().seconds(), 1767323045);
  EXPECT_EQ(request.max_age().nanos(), 500000000);
  EXPECT_THAT(request.read_mask().paths(), ElementsAre("display_name", "tags"));
  EXPECT_TRUE(request.has_active());
  EXPECT_FALSE(request.active().value());
  EXPECT_EQ(request.metadata().at("k.l"), "v");
  EXPECT_EQ(request.metadata().at("m"), "w");
  EXPECT_EQ(request.counts().at("x"), 7);
  EXPECT_EQ(request.order(), ORDER_NEWEST);
  EXPECT_EQ(request.since(), 18446744073709551615u);
  EXPECT_EQ(request.cursor(), "a");
  EXPECT_EQ(request.by_user(), "u");
}

TEST(BuildRequestTest, NamesBadQueryParameters) {
  const auto refusal = [](std::string_view query) { return Refusal("GET", kThings, query); };
  EXPECT_EQ(refusal("nope=1"), "nope: unknown query parameter");
  EXPECT_EQ(refusal("near.nope=1"), "near.nope: unknown query parameter");
  EXPECT_EQ(refusal("pageSize.x=1"), "pageSize.x: unknown query parameter");
  EXPECT_EQ(refusal("=1"), "unknown query parameter");
  EXPECT_EQ(refusal("near=1"), "near: is a message: set its fields one by one");
  EXPECT_EQ(refusal("targets=1"), "targets: is a message: set its fields one by one");
  EXPECT_EQ(refusal("targets.url=1"), "targets.url: unknown query parameter");
  EXPECT_EQ(refusal("afterTime.seconds=1"), "afterTime.seconds: unknown query parameter");
  EXPECT_EQ(refusal("tag[0]=1"), "tag[0]: unknown query parameter");
  EXPECT_EQ(refusal("pageSize=1&page_size=2"), "page_size: is given twice");
  EXPECT_EQ(refusal("metadata.a=1&metadata[a]=2"), "metadata[a]: is given twice");
  EXPECT_THAT(refusal("metadata=1"), HasSubstr("metadata: is a map: expected name.key=value"));
  EXPECT_THAT(refusal("metadata[a=1"), HasSubstr("is a map"));
  EXPECT_THAT(refusal("pageSize=x"), HasSubstr("pageSize: expected an integer"));
  EXPECT_THAT(refusal("pageSize"), HasSubstr("pageSize: expected an integer"));
  EXPECT_THAT(refusal("order=NOPE"), HasSubstr("order: expected one of ORDER_UNSPECIFIED"));
  EXPECT_THAT(refusal("maxAge=1"), HasSubstr("maxAge: expected a duration"));
  EXPECT_THAT(refusal("active=1"), HasSubstr("active: expected true or false"));
  EXPECT_THAT(refusal("tag=%ff"), HasSubstr("tag: expected text in UTF-8"));
  EXPECT_THAT(refusal("tag=%f"), HasSubstr("tag: expected valid percent-encoding"));
  EXPECT_THAT(refusal("%ff=1"), HasSubstr("not valid percent-encoded UTF-8"));
  EXPECT_THAT(refusal("byUser=a&byTeam=b"), HasSubstr("byTeam: excludes `byUser`"));
  EXPECT_EQ(refusal("parent=spaces/z"), "parent: is set by the path already");
  EXPECT_EQ(Refusal("POST", kThings, "thing.name=x"), "thing.name: belongs in the body");
  EXPECT_THAT(Refusal("POST", "/v1/spaces/a/things/b:pause", "name=x"),
              HasSubstr("name: unknown query parameter: this call takes its fields in the body"));
}

TEST(BuildRequestTest, NamesThePlaceInTheBody) {
  EXPECT_EQ(Refusal("POST", kThings, "", R"({"httpTarget":{"weight":"x"}})"),
            "httpTarget.weight: expected an integer, in digits");
  EXPECT_THAT(Refusal("POST", kThings, "", "{"), HasSubstr("invalid JSON at line 1"));
  EXPECT_THAT(Refusal("POST", kThings, "", "[]"), HasSubstr("expected an object"));
  EXPECT_EQ(Refusal("DELETE", kThing, "", "{}"),
            "DELETE /v1/{name=spaces/*/things/*} takes no request body");
}

TEST(BuildRequestTest, LetsThePathGoBeforeTheBody) {
  const std::string_view pause = "/v1/spaces/a/things/b:pause";
  EXPECT_EQ(Build<GetThingRequest>("POST", pause, "", "{}").name(), "spaces/a/things/b");
  EXPECT_EQ(Build<GetThingRequest>("POST", pause).name(), "spaces/a/things/b");
  EXPECT_EQ(Build<GetThingRequest>("POST", pause, "", R"({"name":"spaces/a/things/b"})").name(),
            "spaces/a/things/b");
  EXPECT_EQ(Refusal("POST", pause, "", R"({"name":"other"})"),
            "name: is \"other\" in the body: expected \"spaces/a/things/b\", as in the path");
}

TEST(BuildRequestTest, FillsTheUpdateMaskFromTheBody) {
  const auto paths = [](std::string_view query, std::string_view body) {
    const auto request = Build<UpdateThingRequest>("PATCH", kThing, query, body);
    EXPECT_EQ(request.thing().name(), "spaces/a/things/b");
    return std::vector<std::string>(request.update_mask().paths().begin(),
                                    request.update_mask().paths().end());
  };
  EXPECT_THAT(paths("", R"({"displayName":"x","tags":[],"metadata":{"a":"b"},"timeout":"1s",
                            "extra":{"a":{"b":1}}})"),
              ElementsAre("display_name", "tags", "metadata", "timeout", "extra"));
  EXPECT_THAT(paths("", R"({"httpTarget":{"url":"u","headers":{"a":"b"}},"parent":{"tags":[]}})"),
              ElementsAre("http_target", "parent"));
  EXPECT_THAT(paths("", R"({"httpTarget":{},"timeout":null,"display_name":null})"),
              ElementsAre("http_target", "timeout", "display_name"));
  EXPECT_THAT(paths("", R"({"name":"spaces/a/things/b","tags":["x"]})"), ElementsAre("tags"));
  EXPECT_THAT(paths("updateMask=tags", R"({"displayName":"x"})"), ElementsAre("tags"));
  EXPECT_THAT(paths("allowMissing=true", R"({})"), IsEmpty());
  EXPECT_THAT(paths("", ""), IsEmpty());
}

TEST(BuildRequestTest, TakesRawBodies) {
  const std::string raw("\x00\xff{", 3);
  const MatchResult match = ThingRoutes().Match("POST", "/v1/spaces/a/things/b:invoke");
  ASSERT_NE(match.route, nullptr);
  auto message = BuildRequest(*match.route, match.bindings, "mode=fast", {"image/png", raw});
  ASSERT_TRUE(message.ok());
  const auto& request = dynamic_cast<const InvokeRequest&>(**message);
  EXPECT_EQ(request.body().data(), raw);
  EXPECT_EQ(request.body().content_type(), "image/png");
  EXPECT_EQ(request.mode(), "fast");
  EXPECT_EQ(request.name(), "spaces/a/things/b");

  const MatchResult echo = ThingRoutes().Match("PUT", "/echo");
  message = BuildRequest(*echo.route, echo.bindings, "", {"text/plain", raw});
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(dynamic_cast<const google::api::HttpBody&>(**message).data(), raw);
}

TEST(BuildRequestTest, RandomInputsNeverBreakIt) {
  std::mt19937 random(2);
  static constexpr const char* kPieces[] = {"pageSize", "=",   "&",    "metadata", "[",     "]",
                                            ".",        "%41", "near", "url",      "%",     "+",
                                            "tag",      "1",   "%5B",  "targets",  "order", "\xff"};
  int accepted = 0;
  for (int i = 0; i < 30000; ++i) {
    std::string query;
    for (std::uint32_t n = random() % 8; n > 0; --n) query += kPieces[random() % 18];
    const auto message = BuildAny("GET", kThings, query, "");
    if (message.ok()) {
      ++accepted;
    } else {
      ASSERT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << query;
    }
  }
  EXPECT_GT(accepted, 100);
}

TEST(BuildResponseTest, RendersMessagesFieldsAndRawBodies) {
  ListThingsResponse list;
  const auto render = [](std::string_view method, std::string_view path,
                         const google::protobuf::Message& message) {
    const MatchResult match = ThingRoutes().Match(method, path);
    const auto body = BuildResponse(*match.route, message);
    EXPECT_TRUE(body.ok()) << body.status();
    return body.ok() ? fmt::format("{} {}", body->content_type, body->data) : "";
  };
  EXPECT_EQ(render("GET", kThings, list), "application/json {\"things\":[]}");
  EXPECT_EQ(render("GET", "/v1/spaces/a/thingsOnly", list), "application/json []");
  list.add_things()->set_display_name("x");
  EXPECT_EQ(render("GET", "/v1/spaces/a/thingsOnly", list),
            R"(application/json [{"displayName":"x"}])");
  EXPECT_EQ(render("DELETE", kThing, google::protobuf::Empty()), "application/json {}");
  InvokeResponse answer;
  EXPECT_EQ(render("POST", "/v1/spaces/a/things/b:invoke", answer), "application/octet-stream ");
  answer.mutable_result()->set_content_type("text/plain");
  answer.mutable_result()->set_data("hello");
  EXPECT_EQ(render("POST", "/v1/spaces/a/things/b:invoke", answer), "text/plain hello");
  EXPECT_EQ(render("PUT", "/echo", answer.result()), "text/plain hello");
}

}  // namespace
}  // namespace penstock::transcode
