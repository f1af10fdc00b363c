#include "services/function-manager/storage/spec_json.h"

#include <gtest/gtest.h>

#include "tests/unit/services/function-manager/sample.h"

namespace penstock::functions {
namespace {

TEST(SpecJsonTest, ReadsWhatItWrote) {
  FunctionSpec spec = PythonSpec("a\0b");
  spec.environment = {{"A", "\n"}};
  spec.timeout = Microseconds(1);
  EXPECT_EQ(*SpecFromJson(SpecToJson(spec)), spec);
  spec.input_schema = R"({"type":"object"})";
  spec.output_schema = "{}";
  EXPECT_EQ(*SpecFromJson(SpecToJson(spec)), spec);
  spec.async = {
      3,           Microseconds(1'000), Microseconds(2'000), Microseconds(3'000'000), {"next", ""},
      {"", "a.b"}, "http://there/"};
  EXPECT_EQ(*SpecFromJson(SpecToJson(spec)), spec);
  EXPECT_EQ(*SpecFromJson(SpecToJson(NoopSpec())), NoopSpec());
  EXPECT_EQ(*SpecFromJson(SpecToJson(HttpSpec())), HttpSpec());
}

TEST(SpecJsonTest, AnswersDataLossForWhatItDidNotWrite) {
  for (const char* text :
       {"", "{", "[]", "{}", "null", R"({"description":1})",
        R"({"description":"","timeoutMicros":"x","maxConcurrency":0,"environment":{}})",
        R"({"description":"","timeoutMicros":1,"maxConcurrency":0,"environment":{},"http":[]})"}) {
    EXPECT_EQ(SpecFromJson(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  EXPECT_EQ(StringsFromJson(R"({"a":1})").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace penstock::functions
