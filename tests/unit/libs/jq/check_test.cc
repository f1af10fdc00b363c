#include "libs/jq/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "libs/base/status.h"
#include "libs/jq/program.h"

namespace penstock::jq {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::Status Check(std::string_view field, std::string_view program) {
  return jq::Check(field, program, PENSTOCK_JQ);
}

std::string ErrorOf(const std::string& program) {
  const absl::Status status = Check("transform.before", program);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << program;
  return std::string(status.message());
}

TEST(CheckTest, TakesPrograms) {
  for (const char* program :
       {".", ".a | .b", "def f(x): x + 1; {a: f(.a)}", "# a comment\n.a", "{env: .input, input}",
        ".env", "\"env input\"", ". as $input | $input", "@base64 \"\\(.env)\"",
        "[.[] | select(.halt)] | length", "{a: 1, debug: 2}", ". as {env: $e} | $e"}) {
    EXPECT_TRUE(Check("f", program).ok()) << program << ": " << Check("f", program);
  }
}

TEST(CheckTest, NamesTheFieldAndTheLineOfASyntaxError) {
  EXPECT_EQ(ErrorOf(".a\n| .b }"),
            "transform.before: syntax error, unexpected INVALID_CHARACTER, expecting $end, line 2: "
            "| .b }");
}

TEST(CheckTest, ShowsTheProgramAsItStands) {
  EXPECT_THAT(ErrorOf("foo(1)"), AllOf(HasSubstr("foo/1 is not defined, line 1: foo(1)"),
                                       Not(HasSubstr("ENV")), Not(HasSubstr("top-level"))));
}

TEST(CheckTest, RefusesAnEmptyProgram) {
  EXPECT_THAT(ErrorOf(" \n"), HasSubstr("must not be empty"));
}

TEST(CheckTest, RefusesAProgramThatIsTooLong) {
  EXPECT_TRUE(Check("f", "." + std::string(kProgramBytesMax - 1, ' ')).ok());
  EXPECT_THAT(ErrorOf("." + std::string(kProgramBytesMax, ' ')),
              HasSubstr("longer than 16384 bytes"));
}

TEST(CheckTest, RefusesNulCharacters) {
  EXPECT_THAT(ErrorOf(std::string(".a\0|env", 7)), HasSubstr("NUL"));
}

TEST(CheckTest, RefusesWhatReachesOutOfAProgram) {
  for (const char* program : {"env",
                              ".a | env",
                              "$ENV",
                              "$ ENV",
                              "$ENV.HOME",
                              "{$ENV}",
                              "{a: env}",
                              "{a: 1 | env}",
                              "{(env|keys[0]): 1}",
                              "\"x\\(env)\"",
                              "\"\\(\"\\(env)\")\"",
                              "@json \"\\($ENV)\"",
                              "input",
                              "[inputs]",
                              "input_filename",
                              "input_line_number",
                              "debug",
                              "stderr",
                              "halt",
                              "\"x\" | halt_error",
                              "halt_error(1)",
                              "\"a\" | modulemeta",
                              "get_search_list",
                              "import \"a\" as a; .",
                              "include \"a\"; .",
                              "import \"a\" as $a; $a",
                              "module {}; .",
                              "def env: 1; env",
                              "1|env",
                              "1.|env",
                              "[1,env]",
                              "# x\nenv",
                              "{a:[1,env]}"}) {
    EXPECT_THAT(ErrorOf(program), HasSubstr(" is refused: ")) << program;
  }
}

TEST(CheckTest, SaysWhereTheRefusedNameStands) {
  EXPECT_EQ(ErrorOf("# env\n\"\n\" |\n env"),
            "transform.before: env is refused: the environment is not available, line 4");
}

TEST(CheckTest, RefusesAProgramThatTakesLongToCompile) {
  const std::string brackets(kProgramBytesMax / 2 - 1, '[');
  // A quick machine comes to the end before the time does, and finds the result too long.
  EXPECT_THAT(ErrorOf(brackets + "." + std::string(brackets.size(), ']')),
              testing::AnyOf(HasSubstr("does not compile within 5 s"), HasSubstr("is too long")));
}

TEST(CheckTest, RefusesProgramsThatNestTooDeep) {
  for (const char* piece : {"(", "{a:", "\"\\(", "def f:", ".|try ", "-"}) {
    std::string program;
    while (program.size() + std::strlen(piece) <= kProgramBytesMax) program += piece;
    EXPECT_FALSE(Check("f", program).ok()) << piece;
  }
}

TEST(CheckTest, SaysThatItCannotCheck) {
  const absl::Status status = jq::Check("f", ".", "/nonexistent/penstock-jq");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/penstock-jq"));
}

}  // namespace
}  // namespace penstock::jq
