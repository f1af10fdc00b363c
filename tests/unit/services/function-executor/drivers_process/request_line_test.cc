#include "services/function-executor/drivers/process/request_line.h"

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "services/function-executor/drivers/process/json_text.h"

namespace penstock::executor {
namespace {

Invocation Call(const std::string& content_type, const std::string& payload) {
  auto function = std::make_shared<FunctionSpec>();
  function->space = "default";
  function->id = "hello";
  function->version = 7;
  Invocation invocation;
  invocation.execution_id = "e1";
  invocation.function = function;
  invocation.content_type = content_type;
  invocation.payload = std::make_shared<const std::string>(payload);
  invocation.deadline_wall = FromUnixMicros(1'700'000'000'000'000);
  return invocation;
}

struct PayloadCase {
  const char* content_type;
  std::string payload;
  const char* expected;
};

TEST(RequestLineTest, MapsEachKindOfPayload) {
  const PayloadCase cases[] = {
      {"application/json", R"({"a": 1.50})", R"({"a": 1.50})"},
      {"application/JSON; charset=utf-8", "[1]", "[1]"},
      {"application/cloudevents+json", "\"x\"", "\"x\""},
      {"application/json", "{\n\"a\":\r\n1}\n", R"({"a":1})"},
      {"application/json", "", "null"},
      {"", "", "null"},
      {"", "42", "42"},
      {"", "not json", R"({"base64":"bm90IGpzb24="})"},
      {"text/plain", "a\n\"b\"", R"("a\n\"b\"")"},
      {"text/plain", "", R"("")"},
      {"text/plain", "\xFF", R"({"base64":"/w==","contentType":"text/plain"})"},
      {"application/x-www-form-urlencoded", "a=1&b=2", R"("a=1&b=2")"},
      {"image/png", std::string("\0\x01", 2), R"({"base64":"AAE=","contentType":"image/png"})"},
      {"application/octet-stream", "", R"({"base64":"","contentType":"application/octet-stream"})"},
  };
  for (const PayloadCase& test : cases) {
    const RequestLine line = WriteRequestLine(Call(test.content_type, test.payload));
    ASSERT_FALSE(line.error.has_value()) << test.content_type;
    const auto members = SplitJsonObject(line.text);
    ASSERT_TRUE(members.has_value()) << line.text;
    EXPECT_EQ(JsonMember(*members, "payload"), test.expected) << test.content_type;
    EXPECT_EQ(std::count(line.text.begin(), line.text.end(), '\n'), 1) << line.text;
    EXPECT_TRUE(CheckJson(line.text).ok()) << line.text;
  }
}

TEST(RequestLineTest, BlamesTheCallerForAPayloadThatIsNotTheJsonItClaimsToBe) {
  for (const char* payload : {"{", "{}\n{}", "\xFF"}) {
    const RequestLine line = WriteRequestLine(Call("application/json", payload));
    ASSERT_TRUE(line.error.has_value()) << payload;
    EXPECT_EQ(line.error->category, ErrorCategory::kInput);
    EXPECT_EQ(line.error->type, "InvalidPayload");
    EXPECT_EQ(line.error->message.rfind("payload: ", 0), 0U) << line.error->message;
  }
}

TEST(RequestLineTest, WritesTheWholeContext) {
  Invocation invocation = Call("", "null");
  invocation.attempt = 3;
  invocation.delivery_id = "d1";
  invocation.traceparent = "00-aa-bb-01";
  invocation.secrets = std::make_shared<const Secrets>(Secrets{{"api", {{"token", "s\"ecret"}}}});
  invocation.event = EventAttributes{
      .id = "1", .source = "/shop", .type = "user.created", .others = {{"subject", "bob"}}};
  invocation.http = HttpRequestContext{.method = "GET",
                                       .path = "/users/7",
                                       .host = "example.com",
                                       .query = {{"a", "1"}, {"b", ""}, {"a", "2"}},
                                       .headers = {{"X-A", "1"}, {"X-A", "2"}},
                                       .params = {{"id", "7"}}};
  const RequestLine line = WriteRequestLine(invocation);
  const boost::json::value expected = boost::json::parse(R"({"context": {
      "executionId": "e1", "function": "hello", "space": "default", "version": 7,
      "deadline": "2023-11-14T22:13:20Z", "attempt": 3, "deliveryId": "d1", "traceparent": "00-aa-bb-01",
      "event": {"specversion": "1.0", "id": "1", "source": "/shop", "type": "user.created",
                "subject": "bob"},
      "http": {"method": "GET", "path": "/users/7", "host": "example.com",
               "query": {"a": ["1", "2"], "b": [""]}, "headers": {"X-A": "1, 2"}, "params": {"id": "7"}},
      "secrets": {"api": {"token": "s\"ecret"}}}, "payload": null})");
  EXPECT_EQ(boost::json::parse(line.text), expected) << line.text;
}

TEST(RequestLineTest, LeavesOutWhatTheInvocationDoesNotHave) {
  const RequestLine line = WriteRequestLine(Call("", "1"));
  for (const char* key : {"deliveryId", "traceparent", "event", "http"}) {
    EXPECT_EQ(line.text.find(key), std::string::npos) << key;
  }
}

}  // namespace
}  // namespace penstock::executor
