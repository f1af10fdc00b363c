#include "services/function-executor/drivers/process/answer_line.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AnswerLineTest, MapsEachKindOfPayload) {
  struct Case {
    const char* line;
    const char* payload;
    const char* content_type;
  };
  const Case cases[] = {
      {R"({"payload": {"a": 1.50}})", R"({"a": 1.50})", "application/json"},
      {R"({"payload": 123456789012345678901234567890})", "123456789012345678901234567890",
       "application/json"},
      {R"({"payload": null, "error": null})", "null", "application/json"},
      {R"({"payload": "x"})", R"("x")", "application/json"},
      {R"({"payload": "a\n\u20ac", "contentType": "text/plain"})", "a\n\xE2\x82\xAC", "text/plain"},
      {R"({"payload": "x", "contentType": "application/vnd.x+json"})", R"("x")",
       "application/vnd.x+json"},
      {R"({"payload": 1, "contentType": "text/plain"})", "1", "application/json"},
      {R"({"payload": {"base64": "AAE="}})", nullptr, "application/octet-stream"},
      {R"({"payload": {"base64": "AAE=", "contentType": "image/png"}})", nullptr, "image/png"},
      {R"({"payload": {"base64": "AAE=", "other": 1}})", R"({"base64": "AAE=", "other": 1})",
       "application/json"},
  };
  for (const Case& test : cases) {
    const AnswerLine answer = ParseAnswerLine(test.line);
    EXPECT_TRUE(answer.valid) << test.line;
    EXPECT_FALSE(answer.outcome.error.has_value()) << test.line;
    const std::string payload =
        test.payload == nullptr ? std::string("\0\x01", 2) : std::string(test.payload);
    EXPECT_EQ(*answer.outcome.payload, payload) << test.line;
    EXPECT_EQ(answer.outcome.content_type, test.content_type) << test.line;
  }
}

TEST(AnswerLineTest, ReadsAnErrorInOurFormAndInTheFoundingOne) {
  const AnswerLine ours = ParseAnswerLine(
      R"({"error": {"category": "InputError", "type": "BadAge", "message": "m", "stacktrace": ["a", "b"]},
          "logs": {"stdout": ["o"], "stderr": ["e"]}})");
  ASSERT_TRUE(ours.outcome.error.has_value());
  EXPECT_EQ(ours.outcome.error->category, ErrorCategory::kInput);
  EXPECT_EQ(ours.outcome.error->type, "BadAge");
  EXPECT_EQ(ours.outcome.error->message, "m");
  EXPECT_THAT(ours.outcome.error->stacktrace, ElementsAre("a", "b"));
  EXPECT_THAT(ours.outcome.logs.out, ElementsAre("o"));
  EXPECT_THAT(ours.outcome.logs.err, ElementsAre("e"));
  EXPECT_NE(ours.outcome.payload, nullptr);

  const AnswerLine founding = ParseAnswerLine(
      R"({"context": {"error": {"type": "SystemError", "message": "m"}}, "payload": null})");
  ASSERT_TRUE(founding.outcome.error.has_value());
  EXPECT_EQ(founding.outcome.error->category, ErrorCategory::kSystem);
}

TEST(AnswerLineTest, QuotesTheBeginningOfALineThatIsNoAnswer) {
  const std::string long_line(1000, 'z');
  for (const std::string& line :
       {std::string("hello"), std::string(), std::string("[1]"), std::string("{}"), long_line,
        std::string("{\"payload\":1} trailing"), std::string("{\"error\": 5}"),
        std::string(R"({"payload": {"base64": "!!"}})"),
        std::string(R"({"payload": "x", "contentType": "text/plain\r\nSet-Cookie: a"})"),
        std::string("\xFF\xFE")}) {
    const AnswerLine answer = ParseAnswerLine(line);
    EXPECT_FALSE(answer.valid) << line;
    ASSERT_TRUE(answer.outcome.error.has_value()) << line;
    EXPECT_EQ(answer.outcome.error->type, "InvalidAnswer");
    EXPECT_EQ(answer.outcome.error->category, ErrorCategory::kFunction);
    EXPECT_LT(answer.outcome.error->message.size(), 800U);
  }
  EXPECT_THAT(ParseAnswerLine("hello").outcome.error->message, HasSubstr("hello"));
  EXPECT_THAT(ParseAnswerLine(long_line).outcome.error->message, HasSubstr(std::string(200, 'z')));
}

TEST(AnswerLineTest, ReadsReadyLines) {
  EXPECT_TRUE(ParseReadyLine(R"({"ready":true})")->ready);
  const auto failed =
      ParseReadyLine(R"({"ready":false,"error":{"type":"SyntaxError","message":"m"}})");
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->error->type, "SyntaxError");
  EXPECT_TRUE(ParseReadyLine(R"({"ready":false})")->error.has_value());
  for (const char* line : {"", "hi", "{}", R"({"ready":1})", "[true]"}) {
    EXPECT_FALSE(ParseReadyLine(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace penstock::executor
