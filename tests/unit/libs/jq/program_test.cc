#include "libs/jq/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::jq {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kLarge = 1U << 20;

Result RunJq(std::string_view program, std::string_view input,
             std::size_t output_bytes_max = kLarge) {
  std::string error;
  const auto compiled = Program::Compile(program, &error);
  if (compiled == nullptr) {
    ADD_FAILURE() << error;
    return {};
  }
  return compiled->Run(input, output_bytes_max);
}

std::string Output(std::string_view program, std::string_view input) {
  const Result result = RunJq(program, input);
  EXPECT_EQ(result.kind, Result::Kind::kOutput) << result.text;
  return result.text;
}

std::string Failure(std::string_view program, std::string_view input) {
  const Result result = RunJq(program, input);
  EXPECT_EQ(result.kind, Result::Kind::kFailed) << result.text;
  return result.text;
}

TEST(ProgramTest, TransformsAValue) {
  EXPECT_EQ(Output("{total: ([.items[].price] | add), id}",
                   R"({"id": "o-1", "items": [{"price": 2}, {"price": 3.5}]})"),
            R"({"total":5.5,"id":"o-1"})");
}

TEST(ProgramTest, KeepsOrderTextAndKinds) {
  const std::string value = R"({"z":1,"a":[null,true,"\u0001 é \n"],"f":{}})";
  EXPECT_EQ(Output(".", " " + value + "\n"), value);
}

TEST(ProgramTest, TakesScalars) {
  EXPECT_EQ(Output(". + 1", "41"), "42");
  EXPECT_EQ(Output("length", "\"four\""), "4");
  EXPECT_EQ(Output(".", "null"), "null");
}

TEST(ProgramTest, RunsAgainAfterEachKindOfResult) {
  std::string error;
  const auto program = Program::Compile(
      "if . == 0 then empty elif . < 0 then error(\"negative\") "
      "elif . > 9 then 1, 2 else . end",
      &error);
  ASSERT_NE(program, nullptr) << error;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(program->Run("5", kLarge).text, "5");
    EXPECT_EQ(program->Run("0", kLarge).kind, Result::Kind::kFailed);
    EXPECT_EQ(program->Run("-1", kLarge).text, "negative");
    EXPECT_EQ(program->Run("10", kLarge).kind, Result::Kind::kFailed);
    EXPECT_EQ(program->Run("x", kLarge).kind, Result::Kind::kNotJson);
  }
}

TEST(ProgramTest, SaysWhatJqSays) {
  EXPECT_EQ(Failure(".a", "[]"), "Cannot index array with string \"a\"");
  EXPECT_EQ(Failure("error(\"no such\\nthing\")", "1"), "no such thing");
  EXPECT_EQ(Failure("error({a: 1})", "1"), R"({"a":1})");
  EXPECT_EQ(Failure("1, error(\"late\")", "1"), "late");
}

TEST(ProgramTest, WantsExactlyOneValue) {
  EXPECT_THAT(Failure("empty", "1"), HasSubstr("gave no value"));
  EXPECT_THAT(Failure(".[]", "[1,2]"), HasSubstr("more than one value"));
  EXPECT_EQ(Output(".[]", "[1]"), "1");
}

TEST(ProgramTest, StopsAtTheSecondOfEndlessValues) {
  EXPECT_THAT(Failure("repeat(1)", "1"), HasSubstr("more than one value"));
}

TEST(ProgramTest, RefusesInputThatIsNotOneValue) {
  for (const char* input : {"", " ", "{", "{\"a\":}", "1 2", "tru", "[1]x", "\"a"}) {
    const Result result = RunJq(".", input);
    EXPECT_EQ(result.kind, Result::Kind::kNotJson) << input;
    EXPECT_FALSE(result.text.empty()) << input;
  }
}

TEST(ProgramTest, DoesNotRepeatTheInputInItsErrors) {
  EXPECT_EQ(RunJq(".", "{\"card\": 4111111111111111 4111}").text.find("4111"), std::string::npos);
}

TEST(ProgramTest, RefusesInputThatIsNestedTooDeep) {
  EXPECT_EQ(RunJq(".", std::string(300, '[') + std::string(300, ']')).kind, Result::Kind::kNotJson);
}

TEST(ProgramTest, LimitsTheOutput) {
  EXPECT_EQ(RunJq("\"x\" * 8", "null", 10).kind, Result::Kind::kOutput);
  EXPECT_EQ(RunJq("\"x\" * 9", "null", 10).kind, Result::Kind::kOutputTooLarge);
}

TEST(ProgramTest, CutsLongMessagesBetweenCharacters) {
  const std::string message = Failure("error(\"é\" * 2000)", "null");
  EXPECT_LE(message.size(), 1024U + 3);
  EXPECT_TRUE(message.ends_with("é..."));
}

}  // namespace
}  // namespace penstock::jq
