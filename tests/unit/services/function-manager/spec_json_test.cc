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
  spec.middleware = R"([{"log":{}}])";
  auto& process = std::get<ProcessDriver>(spec.driver);
  process.source.clear();
  process.source_digest = std::string(64, 'a');
  process.entry = "src/main.py";
  process.min_workers = 2;
  process.max_calls = 7;
  process.max_cpu_time = Microseconds(1'500'000);
  process.max_open_files = 200;
  process.isolation = {.no_network = true, .own_user = true};
  spec.async = {
      3,           Microseconds(1'000), Microseconds(2'000), Microseconds(3'000'000), {"next", ""},
      {"", "a.b"}, "http://there/"};
  EXPECT_EQ(*SpecFromJson(SpecToJson(spec)), spec);
  spec.async.callback_signing_secret = "hooks";
  EXPECT_EQ(*SpecFromJson(SpecToJson(spec)), spec);
  EXPECT_EQ(*SpecFromJson(SpecToJson(NoopSpec())), NoopSpec());
  FunctionSpec http = HttpSpec();
  EXPECT_EQ(*SpecFromJson(SpecToJson(http)), http);
  std::get<HttpDriver>(http.driver).signing_secret = "hooks";
  EXPECT_EQ(*SpecFromJson(SpecToJson(http)), http);
}

TEST(SpecJsonTest, ReadsWhatEarlierReleasesWrote) {
  const auto spec = SpecFromJson(
      R"({"description":"","timeoutMicros":1,"maxConcurrency":0,"environment":{},"process":)"
      R"({"runtime":"exec","source":"#!","handler":"","command":[],"maxWorkers":4,)"
      R"("idleTimeoutMicros":1,"maxMemoryBytes":1,"maxOutputBytes":1}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const auto& process = std::get<ProcessDriver>(spec->driver);
  EXPECT_EQ(process.min_workers, 0);
  EXPECT_EQ(process.max_calls, ProcessDriver::kMaxCallsDefault);
  EXPECT_EQ(process.max_open_files, ProcessDriver::kMaxOpenFilesDefault);
  EXPECT_EQ(process.isolation, ProcessIsolation{});
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
