// What the transcoding step costs by generated code: match, build the request, render the response.
//
// As in generated_bench.cc, each benchmark times reflection before it with the same input;
// `vs_reflection` is its time by that of the code.
#include <benchmark/benchmark.h>
#include <google/protobuf/message.h>
#include <penstock/functions/v1/function.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "libs/protojson/codec.h"
#include "libs/transcode/by_code.h"
#include "libs/transcode/route_code.h"
#include "libs/transcode/transcoder.h"

namespace penstock::transcode {
namespace {

constexpr char kService[] = "penstock.functions.v1.FunctionManagerService";

constexpr std::string_view kFunction =
    R"({"name":"spaces/default/functions/resize-image","metadata":{"team":"images","tier":"2"},)"
    R"("description":"Makes thumbnails of what is uploaded","timeout":"30s","maxConcurrency":16,)"
    R"("http":{"url":"https://images.example.com/v1/resize","headers":{"x-api-version":"2"}}})";

const RouteTable& Routes() {
  static const auto* const table = [] {
    const char* services[] = {kService};
    return new RouteTable(*RouteTable::Build(*GeneratedBindings(services)));
  }();
  return *table;
}

struct Call {
  std::string_view method;
  std::string_view path;
  std::string_view query;
  std::string_view body;
};

void Check(bool right) {
  if (!right) std::abort();
}

double SecondsOf(const auto& work, std::int64_t rounds) {
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < rounds; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
         static_cast<double>(rounds);
}

void Step(benchmark::State& state, const Call& call) {
  const functions::v1::Function response = [] {
    functions::v1::Function message;
    Check(protojson::ParseJson(kFunction, &message).ok());
    return message;
  }();
  functions::v1::ListFunctionsResponse list;
  for (int i = 0; i < 10; ++i) *list.add_functions() = response;
  const bool is_list = call.method == "GET" && call.path.ends_with("functions");
  const google::protobuf::Message& answer =
      is_list ? static_cast<const google::protobuf::Message&>(list) : response;
  std::string out;
  const auto code = [&] {
    const MatchResult match = Routes().Match(call.method, call.path);
    Check(BuildByCode(*match.route, match.bindings, call.query, {"application/json", call.body}) !=
          nullptr);
    out.clear();
    Check(WriteByCode(*match.route, answer, {}, &out));
  };
  const auto reflection = [&] {
    const MatchResult match = Routes().Match(call.method, call.path);
    Check(
        BuildByReflection(*match.route, match.bindings, call.query, {"application/json", call.body})
            .ok());
    out.clear();
    Check(protojson::AppendJsonByReflection(answer, &out).ok());
  };
  const std::int64_t rounds = 1 + static_cast<std::int64_t>(0.1 / SecondsOf(reflection, 10));
  const double reflection_seconds = SecondsOf(reflection, rounds);
  const double code_seconds = SecondsOf(code, rounds);
  for (auto _ : state) code();
  state.counters["vs_reflection"] = reflection_seconds / code_seconds;
}
BENCHMARK_CAPTURE(Step, Get, Call{"GET", "/api/v1/spaces/default/functions/resize-image", "", ""});
BENCHMARK_CAPTURE(Step, ListWithQuery,
                  Call{"GET", "/api/v1/spaces/default/functions", "pageSize=10&pageToken=AQAAAGQ",
                       ""});
BENCHMARK_CAPTURE(Step, Create,
                  Call{"POST", "/api/v1/spaces/default/functions", "functionId=resize-image",
                       kFunction});
BENCHMARK_CAPTURE(Step, Patch,
                  Call{"PATCH", "/api/v1/spaces/default/functions/resize-image", "", kFunction});

void Match(benchmark::State& state, std::string_view path) {
  for (auto _ : state) benchmark::DoNotOptimize(Routes().Match("GET", path));
}
BENCHMARK_CAPTURE(Match, Function, "/api/v1/spaces/default/functions/resize-image");
BENCHMARK_CAPTURE(Match, Unknown, "/api/v1/spaces/default/nothing/resize-image");

}  // namespace
}  // namespace penstock::transcode
