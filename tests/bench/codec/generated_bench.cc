// What generated JSON code costs for messages of the REST API, and how many times faster it is than
// reflection and than protobuf's own JSON code.
//
// Each benchmark times the generated code and, before it and with the same input, the two others:
// the counters `vs_reflection` and `vs_json_util` are their time by its time.
#include <benchmark/benchmark.h>
#include <google/protobuf/util/json_util.h>
#include <penstock/events/v1/subscription.pb.h>
#include <penstock/functions/v1/function.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "libs/protojson/codec.h"

namespace penstock {
namespace {

using events::v1::Subscription;
using functions::v1::Function;
using functions::v1::ListFunctionsResponse;

constexpr std::string_view kFunction =
    R"({"name":"spaces/default/functions/resize-image","uid":"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",)"
    R"("etag":"W/\"17\"","createTime":"2026-01-02T03:04:05.678Z","updateTime":"2026-02-03T04:05:06.789Z",)"
    R"("creator":"user:jane@example.com","metadata":{"team":"images","tier":"2","env":"production"},)"
    R"("state":"READY","version":"17","description":"Makes thumbnails of what is uploaded",)"
    R"("timeout":"30s","maxConcurrency":16,"http":{"url":"https://images.example.com/v1/resize",)"
    R"("format":"STRUCTURED","headers":{"x-api-version":"2","x-client":"penstock"}}})";

constexpr std::string_view kSubscription =
    R"({"name":"spaces/default/subscriptions/resize-uploads",)"
    R"("uid":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","etag":"W/\"3\"",)"
    R"("createTime":"2026-01-02T03:04:05.678Z","updateTime":"2026-02-03T04:05:06.789Z",)"
    R"("creator":"user:jane@example.com","metadata":{"team":"images"},"state":"ACTIVE",)"
    R"("eventType":"com.example.storage.object.created",)"
    R"("function":"spaces/default/functions/resize-image",)"
    R"("filters":[{"prefix":{"subject":"images/"}},{"any":[{"suffix":{"subject":".png"}},)"
    R"({"suffix":{"subject":".jpg"}}]},{"not":{"exact":{"source":"/storage/test"}}}],)"
    R"("retry":{"maxAttempts":10,"initialDelay":"1s","maxDelay":"300s","multiplier":2,"jitter":0.1},)"
    R"("timeout":"30s","maxInFlight":32,"effectiveSequence":"123456789","revision":"42",)"
    R"("ordering":{"by":"partitionkey","onExhausted":"BLOCK","maxHeld":1000}})";

template <typename Type>
Type Parsed(std::string_view json) {
  Type message;
  if (!protojson::ParseJsonByReflection(json, &message).ok()) std::abort();
  return message;
}

const Function& OneFunction() {
  static const Function message = Parsed<Function>(kFunction);
  return message;
}
const Subscription& OneSubscription() {
  static const Subscription message = Parsed<Subscription>(kSubscription);
  return message;
}
const ListFunctionsResponse& List100() {
  static const ListFunctionsResponse message = [] {
    ListFunctionsResponse list;
    for (int i = 0; i < 100; ++i) *list.add_functions() = OneFunction();
    list.set_next_page_token("AQAAAGQ");
    return list;
  }();
  return message;
}

double SecondsOf(const auto& work, std::int64_t rounds) {
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < rounds; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
         static_cast<double>(rounds);
}

// Times `codec` as the benchmark, and the others for the counters.
void Compare(benchmark::State& state, const auto& codec, const auto& reflection,
             const auto& json_util) {
  // Long enough to be measured, for the smallest and the largest message.
  const std::int64_t rounds = 1 + static_cast<std::int64_t>(0.1 / SecondsOf(json_util, 3));
  const double json_util_seconds = SecondsOf(json_util, rounds);
  const double reflection_seconds = SecondsOf(reflection, rounds);
  const double codec_seconds = SecondsOf(codec, rounds);
  for (auto _ : state) codec();
  state.counters["vs_json_util"] = json_util_seconds / codec_seconds;
  state.counters["vs_reflection"] = reflection_seconds / codec_seconds;
}

template <typename Type>
void Write(benchmark::State& state, const Type& (*make)()) {
  const Type& message = make();
  std::string out;
  const auto check = [](bool right) {
    if (!right) std::abort();
  };
  Compare(
      state,
      [&] {
        out.clear();
        check(protojson::AppendJsonByCodec(message, &out));
      },
      [&] {
        out.clear();
        check(protojson::AppendJsonByReflection(message, &out).ok());
      },
      [&] {
        out.clear();
        check(google::protobuf::util::MessageToJsonString(message, &out).ok());
      });
  state.SetLabel(std::to_string(out.size()) + " bytes");
}
BENCHMARK_CAPTURE(Write, Function, &OneFunction);
BENCHMARK_CAPTURE(Write, Subscription, &OneSubscription);
BENCHMARK_CAPTURE(Write, ListOf100, &List100);

template <typename Type>
void Read(benchmark::State& state, const Type& (*make)()) {
  std::string json;
  if (!protojson::AppendJsonByReflection(make(), &json).ok()) std::abort();
  const auto check = [](bool right) {
    if (!right) std::abort();
  };
  // A new message each time, as for a request.
  Compare(
      state,
      [&] {
        Type message;
        check(protojson::ParseJsonByCodec(json, &message));
      },
      [&] {
        Type message;
        check(protojson::ParseJsonByReflection(json, &message).ok());
      },
      [&] {
        Type message;
        check(google::protobuf::util::JsonStringToMessage(json, &message).ok());
      });
  state.SetLabel(std::to_string(json.size()) + " bytes");
}
BENCHMARK_CAPTURE(Read, Function, &OneFunction);
BENCHMARK_CAPTURE(Read, Subscription, &OneSubscription);
BENCHMARK_CAPTURE(Read, ListOf100, &List100);

}  // namespace
}  // namespace penstock
