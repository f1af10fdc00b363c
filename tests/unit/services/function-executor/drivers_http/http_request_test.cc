#include "services/function-executor/drivers/http/http_request.h"

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "services/function-executor/drivers/process/request_line.h"
#include "tests/unit/services/function-executor/drivers_http/invocation_sample.h"

namespace penstock::executor {
namespace {

constexpr char kUrl[] = "http://function.test/run";

http::ClientRequest Make(const Invocation& invocation) {
  auto request = MakeHttpRequest(invocation);
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? *std::move(request) : http::ClientRequest();
}

TEST(HttpRequestTest, ADirectCallPostsThePayload) {
  for (const HttpFormat format :
       {HttpFormat::kBinary, HttpFormat::kStructured, HttpFormat::kRaw, HttpFormat::kContext}) {
    const http::ClientRequest request = Make(DirectCall(HttpFunction(kUrl, format)));
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.url, kUrl);
    EXPECT_EQ(*request.body, "hello");
    EXPECT_EQ(request.headers.Get("content-type"), "text/plain");
    EXPECT_EQ(request.headers.Get("penstock-execution-id"), "0a1b2c3d-1");
    EXPECT_EQ(request.headers.Get("penstock-function"), "f");
    EXPECT_FALSE(request.headers.Has("penstock-delivery-id"));
    EXPECT_TRUE(request.headers.Has("traceparent"));
  }
}

TEST(HttpRequestTest, AnEventGoesInBinaryMode) {
  const http::ClientRequest request = Make(EventDelivery(HttpFunction(kUrl)));
  EXPECT_EQ(request.headers.Get("ce-specversion"), "1.0");
  EXPECT_EQ(request.headers.Get("ce-id"), "e%201");
  EXPECT_EQ(request.headers.Get("ce-source"), "/shop");
  EXPECT_EQ(request.headers.Get("ce-type"), "user.created");
  EXPECT_EQ(request.headers.Get("content-type"), "application/json");
  EXPECT_FALSE(request.headers.Has("ce-datacontenttype"));
  EXPECT_EQ(request.headers.Get("penstock-delivery-id"), "d-1");
  EXPECT_EQ(request.headers.Get("penstock-attempt"), "2");
  EXPECT_EQ(*request.body, R"({"name":"ü"})");
  for (const auto field : request.headers) {
    EXPECT_TRUE(http::IsValidHeader(field.name, field.value)) << field.name;
  }
  // What was sent reads back as the event that it was.
  std::vector<cloudevents::HeaderView> headers;
  for (const auto field : request.headers) headers.emplace_back(field.name, field.value);
  const auto event = cloudevents::FromHttpBinary(headers, *request.body);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->id(), "e 1");
  EXPECT_EQ(cloudevents::AttributeText(*event, "subject"), "a\r\nInjected: yes");
  EXPECT_EQ(cloudevents::AttributeText(*event, "time"), "2026-01-02T03:04:05Z");
}

TEST(HttpRequestTest, AnEventGoesInTheFormThatTheFunctionAsksFor) {
  const http::ClientRequest structured =
      Make(EventDelivery(HttpFunction(kUrl, HttpFormat::kStructured)));
  EXPECT_TRUE(structured.headers.Get("content-type").starts_with("application/cloudevents+json"));
  EXPECT_FALSE(structured.headers.Has("ce-id"));
  const auto event = cloudevents::FromJson(*structured.body);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->type(), "user.created");
  EXPECT_EQ(cloudevents::Data(*event), R"({"name":"ü"})");

  const http::ClientRequest raw = Make(EventDelivery(HttpFunction(kUrl, HttpFormat::kRaw)));
  EXPECT_EQ(*raw.body, R"({"name":"ü"})");
  EXPECT_EQ(raw.headers.Get("content-type"), "application/json");
  EXPECT_FALSE(raw.headers.Has("ce-id"));

  const Invocation delivery = EventDelivery(HttpFunction(kUrl, HttpFormat::kContext));
  const http::ClientRequest context = Make(delivery);
  EXPECT_EQ(*context.body, WriteRequestLine(delivery).text);
  const auto json = boost::json::parse(*context.body);
  EXPECT_EQ(json.at("context").at("event").at("id").as_string(), "e 1");
  EXPECT_EQ(json.at("payload").at("name").as_string(), "ü");
}

TEST(HttpRequestTest, AnEventWithoutDataHasNone) {
  Invocation delivery = EventDelivery(HttpFunction(kUrl, HttpFormat::kStructured), "");
  delivery.content_type = "";
  const auto event = cloudevents::FromJson(*Make(delivery).body);
  ASSERT_TRUE(event.ok());
  EXPECT_FALSE(cloudevents::HasData(*event));
}

TEST(HttpRequestTest, AnHttpEventIsForwarded) {
  const http::ClientRequest request =
      Make(HttpEvent(HttpFunction("http://function.test/run?k=v#x")));
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.url, "http://function.test/run?k=v&a=1&b=x%20y");
  EXPECT_EQ(*request.body, "body");
  EXPECT_EQ(request.headers.Get("accept"), "text/html");
  EXPECT_EQ(request.headers.GetAll("x-list").size(), 2U);
  EXPECT_EQ(request.headers.Get("content-type"), "text/plain");
  EXPECT_EQ(request.headers.Get("penstock-http-path"), "/users/j%C3%BCrg%20x");
  for (const char* name : {"connection", "content-length", "host", "penstock-principal"}) {
    EXPECT_FALSE(request.headers.Has(name)) << name;
  }
}

TEST(HttpRequestTest, AnHttpEventWithoutBodyHasNone) {
  Invocation event = HttpEvent(HttpFunction(kUrl), "");
  event.http->method = "GET";
  event.content_type = "";
  const http::ClientRequest request = Make(event);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.body, nullptr);
  EXPECT_FALSE(request.headers.Has("content-type"));
}

TEST(HttpRequestTest, AnHttpEventInTheContextFormIsAPost) {
  const http::ClientRequest request = Make(HttpEvent(HttpFunction(kUrl, HttpFormat::kContext)));
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url, kUrl);
  const auto json = boost::json::parse(*request.body);
  EXPECT_EQ(json.at("context").at("http").at("method").as_string(), "PUT");
  EXPECT_EQ(json.at("payload").as_string(), "body");
}

TEST(HttpRequestTest, TheFunctionsOwnHeadersWin) {
  const auto function = HttpFunction(kUrl);
  std::get<HttpTarget>(function->target).headers = {{"Authorization", "Bearer x"},
                                                    {"Content-Type", "application/x"}};
  const http::ClientRequest request = Make(DirectCall(function));
  EXPECT_EQ(request.headers.Get("authorization"), "Bearer x");
  EXPECT_EQ(request.headers.GetAll("content-type"), std::vector<std::string_view>{"application/x"});
}

TEST(HttpRequestTest, APayloadThatIsNotItsTypeIsTheCallersFault) {
  const Invocation delivery = EventDelivery(HttpFunction(kUrl, HttpFormat::kContext), "{not json");
  EXPECT_EQ(MakeHttpRequest(delivery).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::executor
