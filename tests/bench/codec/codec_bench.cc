// Costs of the JSON mapping, the CloudEvents codec and transcoding, for the sizes that services
// see.
#include <benchmark/benchmark.h>
#include <google/protobuf/util/json_util.h>

#include <string>

#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "libs/cloudevents/validate.h"
#include "libs/protojson/protojson.h"
#include "libs/transcode/transcoder.h"
#include "tests/unit/libs/protojson/json_test.pb.h"
#include "tests/unit/libs/transcode/transcode_test.pb.h"

namespace penstock {
namespace {

// An event of about 1.3 KB in JSON, 1 KB of it payload.
const std::string& EventJson() {
  static const auto* const json = [] {
    auto* text = new std::string(
        R"({"specversion":"1.0","id":"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d","source":"/shop/orders",)"
        R"("type":"com.example.order.created","subject":"orders/1234567","partitionkey":"customer-42",)"
        R"("time":"2026-01-02T03:04:05.678Z","datacontenttype":"application/json","data":{"items":[)");
    for (int i = 0; i < 14; ++i) {
      *text +=
          (i == 0 ? "" : ",") +
          std::string(R"({"sku":"ABC-123456","name":"A thing to buy","price":12.95,"count":2})");
    }
    *text += R"(],"customer":{"id":42,"name":"Jane Doe"},"paid":true}})";
    return text;
  }();
  return *json;
}

testing::json::Everything Everything1300() {
  testing::json::Everything message;
  for (int i = 0; i < 14; ++i) {
    auto* inner = message.add_inner_list();
    inner->set_name("A name of a usual length, not long");
    inner->set_count(i);
    (*message.mutable_string_map())["key-" + std::to_string(i)] = "a value of some length";
  }
  message.set_string_field(std::string(100, 'x'));
  message.set_int64_field(1234567890123);
  message.mutable_timestamp()->set_seconds(1767323045);
  return message;
}

void EventFromJson(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(cloudevents::FromJson(EventJson()));
  state.SetLabel(std::to_string(EventJson().size()) + " bytes");
}
BENCHMARK(EventFromJson);

void EventToJson(benchmark::State& state) {
  const auto event = *cloudevents::FromJson(EventJson());
  for (auto _ : state) benchmark::DoNotOptimize(cloudevents::ToJson(event));
}
BENCHMARK(EventToJson);

void EventFromBinaryMode(benchmark::State& state) {
  const std::vector<cloudevents::HeaderView> headers = {
      {"host", "127.0.0.1:8080"},
      {"content-type", "application/json"},
      {"ce-specversion", "1.0"},
      {"ce-id", "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"},
      {"ce-source", "/shop/orders"},
      {"ce-type", "com.example.order.created"},
      {"ce-time", "2026-01-02T03:04:05.678Z"},
      {"content-length", "256"}};
  const std::string body(256, 'x');
  for (auto _ : state) {
    const auto event = cloudevents::FromHttpBinary(headers, body);
    benchmark::DoNotOptimize(cloudevents::Validate(*event));
  }
}
BENCHMARK(EventFromBinaryMode);

void EventToBinaryMode(benchmark::State& state) {
  const auto event = *cloudevents::FromJson(EventJson());
  for (auto _ : state) benchmark::DoNotOptimize(cloudevents::ToHttpBinaryHeaders(event));
}
BENCHMARK(EventToBinaryMode);

void MessageToJson(benchmark::State& state) {
  const auto message = Everything1300();
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(protojson::AppendJson(message, &out));
  }
  state.SetLabel(std::to_string(out.size()) + " bytes");
}
BENCHMARK(MessageToJson);

void MessageToJsonByProtobuf(benchmark::State& state) {
  const auto message = Everything1300();
  for (auto _ : state) {
    std::string out;
    benchmark::DoNotOptimize(google::protobuf::util::MessageToJsonString(message, &out));
  }
}
BENCHMARK(MessageToJsonByProtobuf);

void MessageFromJson(benchmark::State& state) {
  const std::string json = *protojson::PrintJson(Everything1300());
  testing::json::Everything message;
  for (auto _ : state) benchmark::DoNotOptimize(protojson::ParseJson(json, &message));
}
BENCHMARK(MessageFromJson);

void MessageFromJsonByProtobuf(benchmark::State& state) {
  const std::string json = *protojson::PrintJson(Everything1300());
  for (auto _ : state) {
    testing::json::Everything message;
    benchmark::DoNotOptimize(google::protobuf::util::JsonStringToMessage(json, &message));
  }
}
BENCHMARK(MessageFromJsonByProtobuf);

void MatchAndBuildRequest(benchmark::State& state) {
  const google::protobuf::ServiceDescriptor* services[] = {
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          "penstock.testing.transcode.ThingService")};
  const auto table = transcode::RouteTable::Build(services);
  for (auto _ : state) {
    const auto match = table->Match("POST", "/v1/spaces/default/things");
    benchmark::DoNotOptimize(transcode::BuildRequest(
        *match.route, match.bindings, "thingId=hello",
        {"application/json", R"({"displayName":"Hello","tags":["a","b"]})"}));
  }
}
BENCHMARK(MatchAndBuildRequest);

}  // namespace
}  // namespace penstock
