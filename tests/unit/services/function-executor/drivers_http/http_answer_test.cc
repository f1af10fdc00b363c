#include "services/function-executor/drivers/http/http_answer.h"

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "libs/base/status.h"
#include "libs/cloudevents/json_format.h"

namespace penstock::executor {
namespace {

const WallTime kNow = *ParseRfc3339("2026-01-02T03:04:05Z");

http::ClientResponse Response(int status, std::string body, http::Headers headers = {}) {
  http::ClientResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers = std::move(headers);
  return response;
}

TEST(HttpAnswerTest, A2xxIsTheResult) {
  for (const int status : {200, 201, 204, 299}) {
    const Outcome outcome = ReadHttpAnswer(Response(status, "x", {{"Content-Type", "text/plain"}}),
                                           TriggerKind::kCall, kNow);
    EXPECT_FALSE(outcome.error) << status;
    EXPECT_EQ(outcome.http_status, status);
    EXPECT_EQ(*outcome.payload, "x");
    EXPECT_EQ(outcome.content_type, "text/plain");
  }
}

TEST(HttpAnswerTest, AnotherStatusIsAnErrorThatQuotesTheBody) {
  const Outcome outcome =
      ReadHttpAnswer(Response(503, std::string(600, 'x')), TriggerKind::kEvent, kNow);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->type, "HttpStatus");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kFunction);
  EXPECT_NE(outcome.error->message.find("503"), std::string::npos);
  EXPECT_NE(outcome.error->message.find(std::string(500, 'x') + "…"), std::string::npos);
  EXPECT_EQ(outcome.http_status, 503);

  for (const int status : {400, 422}) {
    EXPECT_EQ(ReadHttpAnswer(Response(status, ""), TriggerKind::kCall, kNow).error->category,
              ErrorCategory::kInput);
  }
  EXPECT_EQ(ReadHttpAnswer(Response(302, ""), TriggerKind::kCall, kNow).error->category,
            ErrorCategory::kFunction);
  const Outcome binary = ReadHttpAnswer(Response(500, "\xff\xfe"), TriggerKind::kCall, kNow);
  EXPECT_NE(binary.error->message.find("\xEF\xBF\xBD"), std::string::npos) << "stays UTF-8";
}

TEST(HttpAnswerTest, AnHttpEventGetsWhatTheFunctionSays) {
  const Outcome plain = ReadHttpAnswer(
      Response(200, "hi", {{"Content-Type", "text/plain"}, {"Date", "x"}, {"Server", "y"}}),
      TriggerKind::kHttp, kNow);
  EXPECT_FALSE(plain.error);
  EXPECT_EQ(*plain.payload, "hi");
  EXPECT_EQ(plain.content_type, "text/plain");

  const Outcome moved = ReadHttpAnswer(Response(302, "",
                                                {{"Location", "/there"},
                                                 {"Connection", "close"},
                                                 {"Set-Cookie", "a=1"},
                                                 {"Set-Cookie", "b=2"}}),
                                       TriggerKind::kHttp, kNow);
  EXPECT_FALSE(moved.error);
  EXPECT_EQ(moved.http_status, 302);
  const auto json = boost::json::parse(*moved.payload);
  EXPECT_EQ(json.at("statusCode").as_int64(), 302);
  EXPECT_EQ(json.at("headers").at("Location").as_string(), "/there");
  EXPECT_EQ(json.at("headers").at("Set-Cookie").as_array().size(), 2U);
  EXPECT_FALSE(json.at("headers").as_object().contains("Connection"));

  const Outcome binary =
      ReadHttpAnswer(Response(404, "\xff", {{"Content-Type", "x/y"}}), TriggerKind::kHttp, kNow);
  EXPECT_FALSE(binary.error);
  const auto wrapped = boost::json::parse(*binary.payload);
  EXPECT_TRUE(wrapped.at("isBase64").as_bool());
  EXPECT_EQ(wrapped.at("body").as_string(), "/w==");
  EXPECT_EQ(wrapped.at("headers").at("Content-Type").as_string(), "x/y");

  const Outcome failed = ReadHttpAnswer(Response(500, "no"), TriggerKind::kHttp, kNow);
  EXPECT_TRUE(failed.error);
  EXPECT_EQ(failed.http_status, 500);
}

TEST(HttpAnswerTest, AnEventInBinaryModeIsAReply) {
  const Outcome outcome = ReadHttpAnswer(Response(200, "{}",
                                                  {{"Content-Type", "application/json"},
                                                   {"ce-specversion", "1.0"},
                                                   {"ce-id", "r"},
                                                   {"ce-source", "/f"},
                                                   {"ce-type", "t"}}),
                                         TriggerKind::kEvent, kNow);
  EXPECT_EQ(outcome.content_type, "application/cloudevents+json");
  const auto event = cloudevents::FromJson(*outcome.payload);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->id(), "r");
}

TEST(HttpAnswerTest, EveryFailureHasItsType) {
  const auto type = [](absl::Status status, const char* reason) {
    const Outcome outcome = ReadHttpFailure(WithReason(std::move(status), reason));
    EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
    return outcome.error->type;
  };
  EXPECT_EQ(type(absl::UnavailableError(""), http::kConnectFailed), "ConnectFailed");
  EXPECT_EQ(type(absl::UnavailableError(""), http::kConnectTimeout), "ConnectFailed");
  EXPECT_EQ(type(absl::UnavailableError(""), http::kDnsFailed), "ConnectFailed");
  EXPECT_EQ(type(absl::UnavailableError(""), http::kTlsFailed), "ConnectFailed");
  EXPECT_EQ(type(absl::PermissionDeniedError(""), http::kEgressDenied), "EgressDenied");
  EXPECT_EQ(type(absl::ResourceExhaustedError(""), http::kQueueFull), "Busy");
  EXPECT_EQ(type(absl::DeadlineExceededError(""), http::kResponseTimeout), "Timeout");
  EXPECT_EQ(type(absl::ResourceExhaustedError(""), http::kResponseTooLarge), "ResponseTooLarge");
  EXPECT_EQ(type(absl::UnavailableError(""), http::kConnectionLost), "ConnectionLost");
  EXPECT_EQ(type(absl::UnavailableError(""), http::kResponseMalformed), "InvalidAnswer");
  EXPECT_EQ(type(absl::CancelledError(""), http::kCanceled), "Cancelled");
  EXPECT_EQ(type(absl::InvalidArgumentError(""), ""), "InvalidRequest");
}

TEST(RetryAfterTest, ReadsSecondsAndDates) {
  EXPECT_EQ(ParseRetryAfter("120", kNow), Microseconds(120'000'000));
  EXPECT_EQ(ParseRetryAfter(" 0 ", kNow), Microseconds(0));
  EXPECT_EQ(ParseRetryAfter("Fri, 02 Jan 2026 03:04:35 GMT", kNow), Microseconds(30'000'000));
  EXPECT_EQ(ParseRetryAfter("Thu, 01 Jan 2026 03:04:35 GMT", kNow), Microseconds(0)) << "past";
  // The two obsolete forms.
  EXPECT_EQ(ParseRetryAfter("Friday, 02-Jan-26 03:04:35 GMT", kNow), Microseconds(30'000'000));
  EXPECT_EQ(ParseRetryAfter("Fri Jan  2 03:04:35 2026", kNow), Microseconds(30'000'000));
  EXPECT_EQ(ParseRetryAfter("99999999999999999999999", kNow), Microseconds(86'400'000'000));
  EXPECT_EQ(ParseRetryAfter("Fri, 02 Jan 2099 03:04:35 GMT", kNow), Microseconds(86'400'000'000));
  for (const char* bad : {"", " ", "soon", "-5", "1.5", "12 apples", "Fri"}) {
    EXPECT_EQ(ParseRetryAfter(bad, kNow), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace penstock::executor
