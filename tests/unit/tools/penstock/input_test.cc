#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/input/function_source.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(ValuesTest, DataIsTextFileOrStandardInput) {
  std::istringstream in("from input");
  EXPECT_EQ(*ReadData("text", in), "text");
  EXPECT_EQ(*ReadData("-", in), "from input");
  const auto missing = ReadData("@/no/such/file", in);
  EXPECT_THAT(MessageOf(missing.status()), HasSubstr("/no/such/file: cannot be opened"));
}

TEST(ValuesTest, ContentTypeIsGuessedFromTheBytes) {
  EXPECT_EQ(GuessContentType(""), "");
  EXPECT_EQ(GuessContentType("[1]"), "application/json");
  EXPECT_EQ(GuessContentType("hällo"), "text/plain; charset=utf-8");
  EXPECT_EQ(GuessContentType("\xff\xfe"), "application/octet-stream");
}

TEST(ValuesTest, PairsSplitAtTheFirstEqualsSign) {
  google::protobuf::Map<std::string, std::string> map;
  ASSERT_TRUE(ParsePairs("--env", {"A=1=2", "B="}, &map).ok());
  EXPECT_EQ(map["A"], "1=2");
  EXPECT_EQ(map["B"], "");
  EXPECT_THAT(MessageOf(ParsePairs("--env", {"C"}, &map)), HasSubstr("--env: expected KEY=VALUE"));
  EXPECT_EQ(ExitCodeOf(ParsePairs("--env", {"A=3"}, &map)), kExitUsage);
}

TEST(ValuesTest, WordsAreSplitAsAShellDoes) {
  EXPECT_THAT(*SplitWords("--command", R"(/bin/sh -c 'a "b"' "c d" e\ f '')"),
              ElementsAre("/bin/sh", "-c", "a \"b\"", "c d", "e f", ""));
  EXPECT_FALSE(SplitWords("--command", "'open").ok());
}

TEST(ValuesTest, APointOfTheLogIsASequenceATimeOrAnAge) {
  const WallTime now = *ParseRfc3339("2026-01-02T03:04:05Z");
  EXPECT_EQ(std::get<std::int64_t>(*ParseLogPoint("--from", "17", now)), 17);
  EXPECT_EQ(FormatRfc3339(std::get<WallTime>(*ParseLogPoint("--from", "10m", now))),
            "2026-01-02T02:54:05Z");
  EXPECT_EQ(std::get<WallTime>(*ParseLogPoint("--from", "2026-01-02T03:04:05Z", now)), now);
  EXPECT_EQ(ExitCodeOf(ParseLogPoint("--from", "yesterday", now).status()), kExitUsage);
}

TEST(ValuesTest, ATimeoutIsMoreThanZero) {
  EXPECT_EQ(*ParseTimeout("--timeout", "1.5s"), Microseconds(1'500'000));
  EXPECT_FALSE(ParseTimeout("--timeout", "0s").ok());
  EXPECT_FALSE(ParseTimeout("--timeout", "10").ok());
}

TEST(ValuesTest, AFullNameStaysAsItIs) {
  EXPECT_EQ(FullName("shop", "functions", "f"), "spaces/shop/functions/f");
  EXPECT_EQ(FullName("shop", "functions", "spaces/x/functions/f"), "spaces/x/functions/f");
}

TEST(FunctionSourceTest, TheEndingSaysTheRuntime) {
  EXPECT_EQ(*DetectRuntime("a/b.py", ""), "python3");
  for (const char* const name : {"a.js", "a.mjs", "a.cjs"}) {
    EXPECT_EQ(*DetectRuntime(name, ""), "node");
  }
  EXPECT_EQ(*DetectRuntime("run", "#!/bin/sh\n"), "exec");
  EXPECT_EQ(*DetectRuntime("-", "#!/bin/sh\n"), "exec");
}

TEST(FunctionSourceTest, WhatCannotRunSaysWhatToDo) {
  EXPECT_THAT(MessageOf(DetectRuntime("a.rb", "puts 1").status()), HasSubstr("--runtime"));
  EXPECT_THAT(MessageOf(DetectRuntime("prog",
                                      "\x7f"
                                      "ELF")
                            .status()),
              HasSubstr("--command"));
}

absl::Status Apply(const FunctionFlags& flags, functions::v1::Function* function,
                   std::vector<std::string>* paths) {
  std::istringstream in("exports.handle = (ctx, payload) => payload\n");
  return ApplyFunctionFlags(flags, in, function, paths);
}

TEST(FunctionSourceTest, FlagsBecomeFieldsAndPaths) {
  FunctionFlags flags;
  flags.source = "-";
  flags.runtime = "node";
  flags.handler = "main";
  flags.max_workers = 2;
  flags.timeout = "5s";
  flags.environment = {"A=1"};
  functions::v1::Function function;
  std::vector<std::string> paths;
  ASSERT_TRUE(Apply(flags, &function, &paths).ok());
  EXPECT_THAT(function.process().source(), HasSubstr("exports.handle"));
  EXPECT_EQ(function.process().handler(), "main");
  EXPECT_EQ(function.process().max_workers(), 2);
  EXPECT_EQ(function.timeout().seconds(), 5);
  EXPECT_EQ(function.environment().at("A"), "1");
  EXPECT_THAT(paths, ElementsAre("process", "timeout", "environment"));
}

TEST(FunctionSourceTest, SchemasAreReadFromFiles) {
  FunctionFlags flags;
  flags.is_noop = true;
  flags.input_schema = "-";
  std::istringstream schema(R"({"type": "object"})");
  functions::v1::Function function;
  std::vector<std::string> paths;
  ASSERT_TRUE(ApplyFunctionFlags(flags, schema, &function, &paths).ok());
  EXPECT_EQ(function.input_schema().fields().at("type").string_value(), "object");
  EXPECT_THAT(paths, ElementsAre("noop", "input_schema"));
  std::istringstream other("[1]");
  const absl::Status refused = ApplyFunctionFlags(flags, other, &function, &paths);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--input-schema: expected a JSON Schema"));
}

TEST(FunctionSourceTest, FlagsThatExcludeEachOtherAreRefused) {
  functions::v1::Function function;
  std::vector<std::string> paths;
  FunctionFlags two;
  two.url = "http://x/";
  two.is_noop = true;
  EXPECT_EQ(ExitCodeOf(Apply(two, &function, &paths)), kExitUsage);
  FunctionFlags handler;
  handler.url = "http://x/";
  handler.handler = "main";
  EXPECT_EQ(ExitCodeOf(Apply(handler, &function, &paths)), kExitUsage);
  FunctionFlags relative;
  relative.command = "tr a b";
  EXPECT_THAT(MessageOf(Apply(relative, &function, &paths)), HasSubstr("absolute path"));
  FunctionFlags format;
  format.url = "http://x/";
  format.format = "xml";
  EXPECT_THAT(MessageOf(Apply(format, &function, &paths)), HasSubstr("--format"));
}

TEST(ErrorsTest, ExitCodesFollowTheReason) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("x")), 1);
  EXPECT_EQ(ExitCodeOf(UsageError("x")), 2);
  EXPECT_EQ(ExitCodeOf(NotReachableError("h:1", "refused")), 3);
}

TEST(ErrorsTest, TextShowsViolationsOnceAndNoControlCharacters) {
  EXPECT_EQ(ErrorText(FieldError("http.url", "is missing")), "error: http.url: is missing\n");
  EXPECT_EQ(ErrorText(absl::NotFoundError("no \x1b[2J")), "error: no ?[2J\n");
  EXPECT_EQ(ErrorText(absl::CancelledError("")), "error: CANCELLED\n");
}

}  // namespace
}  // namespace penstock::cli
