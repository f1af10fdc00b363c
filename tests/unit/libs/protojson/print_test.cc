#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "libs/base/status_details.h"
#include "libs/protojson/hooks.h"
#include "libs/protojson/protojson.h"
#include "libs/protojson/status_json.h"
#include "tests/unit/libs/protojson/json_test.pb.h"

namespace penstock::protojson {
namespace {

using penstock::testing::json::Everything;
using penstock::testing::json::ListInnersResponse;
using ::testing::HasSubstr;

std::string Print(const google::protobuf::Message& message, const PrintOptions& options = {}) {
  auto json = PrintJson(message, options);
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : "";
}

TEST(PrintTest, OmitsDefaultsAndQuotes64BitIntegers) {
  Everything message;
  EXPECT_EQ(Print(message), "{}");
  message.set_int32_field(-1);
  message.set_int64_field(std::numeric_limits<std::int64_t>::min());
  message.set_uint64_field(std::numeric_limits<std::uint64_t>::max());
  message.set_bool_field(true);
  message.set_bytes_field("\xff");
  message.set_color(testing::json::COLOR_BLUE);
  message.set_renamed("x");
  EXPECT_EQ(Print(message),
            R"({"int32Field":-1,"int64Field":"-9223372036854775808",)"
            R"("uint64Field":"18446744073709551615","boolField":true,"bytesField":"/w==",)"
            R"("color":"COLOR_BLUE","other-name":"x"})");
}

TEST(PrintTest, EscapesStringsAndReplacesInvalidUtf8) {
  Everything message;
  message.set_string_field(std::string("\"\\/\b\f\n\r\t\x01\x7f é", 13));
  EXPECT_EQ(Print(message), "{\"stringField\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f é\"}");
  google::protobuf::Value value;
  value.set_string_value("a");
  (*value.mutable_string_value())[0] = '\xff';
  EXPECT_EQ(Print(value), "\"\xEF\xBF\xBD\"");
}

TEST(PrintTest, WritesTheShortestNumbers) {
  Everything message;
  message.set_double_field(0.1);
  message.set_float_field(0.1f);
  EXPECT_EQ(Print(message), R"({"floatField":0.1,"doubleField":0.1})");
  message.set_double_field(std::numeric_limits<double>::infinity());
  message.set_float_field(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(Print(message), R"({"floatField":"NaN","doubleField":"Infinity"})");
}

TEST(PrintTest, WritesUnknownEnumValuesAsNumbers) {
  Everything message;
  message.set_color(static_cast<testing::json::Color>(9));
  EXPECT_EQ(Print(message), R"({"color":9})");
}

TEST(PrintTest, WritesEmptyListsOfListResponses) {
  ListInnersResponse list;
  EXPECT_EQ(Print(list), R"({"inners":[]})");
  EXPECT_EQ(Print(list, {.print_empty_lists = false}), "{}");
  EXPECT_EQ(Print(list, {.always_print_defaults = true}),
            R"({"inners":[],"nextPageToken":"","labels":{}})");
  testing::json::Filtered filtered;
  EXPECT_EQ(Print(filtered), "{}");
}

TEST(PrintTest, SortsMapEntries) {
  Everything message;
  (*message.mutable_string_map())["b"] = "2";
  (*message.mutable_string_map())["a"] = "1";
  (*message.mutable_bool_map())[false] = testing::json::COLOR_RED;
  EXPECT_EQ(Print(message), R"({"stringMap":{"a":"1","b":"2"},"boolMap":{"false":"COLOR_RED"}})");
}

TEST(PrintTest, IndentsWhenPretty) {
  Everything message;
  message.add_int32_list(1);
  message.mutable_inner()->set_name("x");
  message.mutable_empty();
  EXPECT_EQ(Print(message, {.pretty = true}),
            "{\n  \"inner\": {\n    \"name\": \"x\"\n  },\n  \"int32List\": [\n    1\n  ],\n"
            "  \"empty\": {}\n}");
}

TEST(PrintTest, WritesWellKnownTypes) {
  Everything message;
  message.mutable_timestamp()->set_seconds(1767323045);
  message.mutable_timestamp()->set_nanos(678000000);
  message.mutable_duration()->set_nanos(-1000);
  message.mutable_field_mask()->add_paths("foo_bar.baz");
  message.mutable_field_mask()->add_paths("qux");
  (*message.mutable_struct_()->mutable_fields())["a"].set_null_value(google::protobuf::NULL_VALUE);
  message.mutable_list_value()->add_values()->set_bool_value(false);
  message.mutable_int64_wrapper()->set_value(0);
  message.set_choice_null(google::protobuf::NULL_VALUE);
  EXPECT_EQ(Print(message),
            R"({"choiceNull":null,"timestamp":"2026-01-02T03:04:05.678Z",)"
            R"("duration":"-0.000001s","fieldMask":"fooBar.baz,qux","struct":{"a":null},)"
            R"("listValue":[false],"int64Wrapper":"0"})");
}

TEST(PrintTest, WritesAny) {
  google::rpc::ErrorInfo info;
  info.set_reason("X");
  Everything message;
  message.mutable_any()->PackFrom(info);
  google::protobuf::Duration duration;
  duration.set_seconds(1);
  message.add_any_list()->PackFrom(duration);
  message.add_any_list();
  EXPECT_EQ(
      Print(message),
      R"({"any":{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"X"},)"
      R"("anyList":[{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"},{}]})");
}

TEST(PrintTest, RefusesWhatHasNoJsonForm) {
  Everything message;
  message.mutable_timestamp()->set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(PrintJson(message).status().code(), absl::StatusCode::kInvalidArgument);
  message.Clear();
  message.mutable_duration()->set_seconds(1);
  message.mutable_duration()->set_nanos(-1);
  EXPECT_FALSE(PrintJson(message).ok());
  message.Clear();
  message.mutable_any()->set_type_url("type.googleapis.com/no.such.Type");
  EXPECT_FALSE(PrintJson(message).ok());
  message.mutable_any()->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  message.mutable_any()->set_value("\xff");
  EXPECT_FALSE(PrintJson(message).ok());
  message.Clear();
  message.mutable_value()->set_number_value(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(PrintJson(message).ok());
}

TEST(PrintTest, RefusesAnysNestedWithoutEnd) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/google.protobuf.Any");
  for (int i = 0; i < 300; ++i) {
    google::protobuf::Any outer;
    outer.PackFrom(any);
    any = outer;
  }
  EXPECT_THAT(std::string(PrintJson(any).status().message()), HasSubstr("nested too deeply"));
}

TEST(PrintTest, PrintsSingleFields) {
  Everything message;
  message.add_int32_list(1);
  const auto* type = message.GetDescriptor();
  EXPECT_EQ(*PrintJsonField(message, FindField(type, "int32List")), "[1]");
  EXPECT_EQ(*PrintJsonField(message, FindField(type, "stringMap")), "{}");
  EXPECT_EQ(*PrintJsonField(message, FindField(type, "stringField")), "\"\"");
  EXPECT_TRUE(ParseJsonField("[7,8]", FindField(type, "int32List"), &message).ok());
  EXPECT_EQ(message.int32_list_size(), 3);
}

TEST(PrintTest, HooksGiveATypeItsOwnForm) {
  using penstock::testing::json::Envelope;
  RegisterJsonHook(
      "io.cloudevents.v1.CloudEvent",
      {.read =
           [](const JsonValue& value, const JsonPath& path, google::protobuf::Message* message) {
             if (!value.is_string()) return path.Error("expected an id");
             static_cast<io::cloudevents::v1::CloudEvent*>(message)->set_id(
                 std::string(value.text()));
             return absl::OkStatus();
           },
       .write =
           [](const google::protobuf::Message& message, JsonWriter& writer) {
             writer.String(static_cast<const io::cloudevents::v1::CloudEvent&>(message).id());
             return absl::OkStatus();
           }});
  Envelope envelope;
  ASSERT_TRUE(ParseJson(R"({"event":"x","more":["y"],"any":{
      "@type":"type.googleapis.com/io.cloudevents.v1.CloudEvent","value":"z"}})",
                        &envelope)
                  .ok());
  EXPECT_EQ(envelope.event().id(), "x");
  EXPECT_EQ(Print(envelope),
            R"({"event":"x","more":["y"],"any":{)"
            R"("@type":"type.googleapis.com/io.cloudevents.v1.CloudEvent","value":"z"}})");
  EXPECT_EQ(FieldViolationsOf(ParseJson(R"({"more":[1]})", &envelope))[0].field, "more[0]");
  EXPECT_FALSE(HasPlainForm(io::cloudevents::v1::CloudEvent::descriptor()));
  EXPECT_TRUE(HasPlainForm(Envelope::descriptor()));
}

TEST(PrintTest, ThreadsMayPrintTheSameMessage) {
  Everything message;
  for (int i = 0; i < 50; ++i) (*message.mutable_string_map())[std::to_string(i)] = "v";
  const std::string expected = Print(Everything(message));
  std::vector<std::thread> threads;
  std::vector<std::string> results(4);
  for (auto& result : results) {
    threads.emplace_back([&] { result = Print(message); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(results, ::testing::Each(expected));
}

TEST(StatusJsonTest, HasTheShapeOfGoogleRpcStatus) {
  EXPECT_EQ(StatusToJson(absl::NotFoundError("no \"x\"")), R"({"code":5,"message":"no \"x\""})");
  EXPECT_EQ(StatusToJson(absl::OkStatus()), R"({"code":0,"message":""})");
  EXPECT_EQ(StatusToJson(FieldError("source", "is required")),
            R"({"code":3,"message":"source: is required","details":[{"@type":)"
            R"("type.googleapis.com/google.rpc.BadRequest","fieldViolations":)"
            R"([{"field":"source","description":"is required"}]}]})");
  EXPECT_EQ(StatusToJson(WithReason(absl::UnavailableError("x"), "FULL")),
            R"({"code":14,"message":"x","details":[{"@type":)"
            R"("type.googleapis.com/google.rpc.ErrorInfo","reason":"FULL","domain":"penstock"}]})");
  absl::Status twice = WithReason(absl::UnavailableError("x"), "FULL");
  DetailKeys keys;
  EXPECT_EQ(keys.For(kErrorInfoUrl), kErrorInfoUrl);
  twice.SetPayload(keys.For(kErrorInfoUrl), *twice.GetPayload(kErrorInfoUrl));
  const std::string info =
      R"({"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"FULL","domain":"penstock"})";
  EXPECT_EQ(StatusToJson(twice),
            R"({"code":14,"message":"x","details":[)" + info + "," + info + "]}");
  absl::Status odd = absl::InternalError("x");
  odd.SetPayload("no/such.Type", absl::Cord("y"));
  EXPECT_EQ(StatusToJson(odd), R"({"code":13,"message":"x"})");
}

}  // namespace
}  // namespace penstock::protojson
