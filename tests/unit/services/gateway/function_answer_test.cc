#include "services/gateway/api/function_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

executions::v1::InvokeResponse Payload(std::string content_type, std::string data) {
  executions::v1::InvokeResponse response;
  response.set_execution("spaces/default/executions/e1");
  response.mutable_payload()->set_content_type(std::move(content_type));
  response.mutable_payload()->set_data(std::move(data));
  return response;
}

http::Response Json(std::string data) { return AnswerOf(Payload("application/json", data)); }

executions::v1::InvokeResponse Error(std::string category, std::string type) {
  executions::v1::InvokeResponse response;
  response.set_execution("spaces/default/executions/e1");
  response.mutable_error()->set_category(std::move(category));
  response.mutable_error()->set_type(std::move(type));
  response.mutable_error()->set_message("it broke");
  return response;
}

TEST(FunctionAnswerTest, PassesABodyOn) {
  const auto answer = AnswerOf(Payload("image/png", std::string("\x89PNG\0", 5)));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, std::string("\x89PNG\0", 5));
  EXPECT_EQ(answer.headers.Get("Content-Type"), "image/png");
  EXPECT_EQ(answer.headers.Get("Penstock-Execution"), "spaces/default/executions/e1");
}

TEST(FunctionAnswerTest, NeedsNoContentType) {
  EXPECT_EQ(AnswerOf(Payload("", "x")).headers.Get("Content-Type"), "application/octet-stream");
  EXPECT_EQ(AnswerOf(Payload("a\nb", "x")).headers.Get("Content-Type"), "application/octet-stream");
}

TEST(FunctionAnswerTest, IsWhatTheFunctionComposed) {
  const auto answer = Json(
      R"({"statusCode":201,"headers":{"X-A":"1","Content-Type":"text/html","X-N":7},"body":"<p>"})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.headers.Get("x-a"), "1");
  EXPECT_EQ(answer.headers.Get("x-n"), "7");
  EXPECT_EQ(answer.headers.Get("Content-Type"), "text/html");
  EXPECT_EQ(answer.body, "<p>");
}

TEST(FunctionAnswerTest, WritesABodyThatIsNoStringAsJson) {
  const auto answer = Json(R"({"statusCode":200,"body":{"a":[1, 2]}})");
  EXPECT_EQ(answer.body, R"({"a":[1, 2]})");
  EXPECT_EQ(answer.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(Json(R"({"statusCode":200,"body":"x"})").headers.Get("Content-Type"),
            "text/plain; charset=utf-8");
}

TEST(FunctionAnswerTest, DecodesBase64) {
  const auto answer = Json(R"({"statusCode":200,"isBase64":true,"body":"AAEC"})");
  EXPECT_EQ(answer.body, std::string("\0\1\2", 3));
  EXPECT_EQ(Json(R"({"statusCode":200,"isBase64":true,"body":"*"})").status, 502);
  EXPECT_EQ(Json(R"({"statusCode":200,"isBase64":false,"body":"AAEC"})").body, "AAEC");
}

TEST(FunctionAnswerTest, RepeatsAHeaderThatIsAList) {
  const auto answer = Json(R"({"statusCode":200,"headers":{"Set-Cookie":["a=1","b=2"]}})");
  EXPECT_THAT(answer.headers.GetAll("Set-Cookie"), testing::ElementsAre("a=1", "b=2"));
}

TEST(FunctionAnswerTest, LeavesTheConnectionsOwnHeadersOut) {
  const auto answer = Json(
      R"({"statusCode":200,"headers":{"Connection":"close","Transfer-Encoding":"chunked",
          "content-length":"999"},"body":"x"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.headers.Has("Connection"));
  EXPECT_FALSE(answer.headers.Has("Transfer-Encoding"));
  EXPECT_FALSE(answer.headers.Has("Content-Length"));
}

TEST(FunctionAnswerTest, IsPlainWithoutAnIntegerStatusCode) {
  for (const char* data :
       {R"({"statusCode":"200"})", R"({"statusCode":200.5})", R"({"statusCode":null})",
        R"([{"statusCode":201}])", R"({"inner":{"statusCode":201}})", R"("statusCode")",
        R"({"statusCode":1e3})", "{\"statusCode\":201", ""}) {
    const auto answer = Json(data);
    EXPECT_EQ(answer.status, 200) << data;
    EXPECT_EQ(answer.body, data);
  }
  EXPECT_EQ(AnswerOf(Payload("text/plain", R"({"statusCode":201})")).status, 200);
}

TEST(FunctionAnswerTest, RefusesAnswersThatCannotBeSent) {
  for (const char* data :
       {R"({"statusCode":99})", R"({"statusCode":600})", R"({"statusCode":-200})",
        R"({"statusCode":101})", R"({"statusCode":200,"headers":{"X":"a\r\nB: c"}})",
        R"({"statusCode":200,"headers":{"a b":"c"}})", R"({"statusCode":200,"headers":{"a":{}}})",
        R"({"statusCode":200,"headers":{"a":[["b"]]}})", R"({"statusCode":200,"headers":[]})"}) {
    const auto answer = Json(data);
    EXPECT_EQ(answer.status, 502) << data;
    EXPECT_EQ(answer.headers.Get("Penstock-Error"), "FunctionError") << data;
    EXPECT_THAT(answer.body, HasSubstr("InvalidResponse")) << data;
  }
}

TEST(FunctionAnswerTest, MapsErrorsByWhoHasToAct) {
  EXPECT_EQ(AnswerOf(Error("InputError", "ValueError")).status, 400);
  EXPECT_EQ(AnswerOf(Error("FunctionError", "KeyError")).status, 502);
  EXPECT_EQ(AnswerOf(Error("SystemError", "ConnectFailed")).status, 503);
  EXPECT_EQ(AnswerOf(Error("FunctionError", "Timeout")).status, 504);
  EXPECT_EQ(AnswerOf(Error("", "")).status, 503);
}

TEST(FunctionAnswerTest, SaysWhatWentWrong) {
  const auto answer = AnswerOf(Error("FunctionError", "KeyError"));
  EXPECT_EQ(answer.headers.Get("Penstock-Error"), "FunctionError");
  EXPECT_EQ(answer.headers.Get("Penstock-Execution"), "spaces/default/executions/e1");
  EXPECT_THAT(answer.body, HasSubstr(R"("reason":"KeyError")"));
  EXPECT_THAT(answer.body, HasSubstr("it broke"));
}

TEST(FunctionAnswerTest, AnUnknownCategoryIsNoHeader) {
  EXPECT_EQ(AnswerOf(Error("Evil\r\nX: y", "t")).headers.Get("Penstock-Error"), "SystemError");
}

}  // namespace
}  // namespace penstock::gateway
