#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tests/unit/libs/protojson/json_test.pb.h"

namespace penstock::protojson {
namespace {

using penstock::testing::json::Everything;
using penstock::testing::json::Filtered;
using ::testing::HasSubstr;

Everything Read(std::string_view json) {
  Everything message;
  const absl::Status status = ParseJson(json, &message);
  EXPECT_TRUE(status.ok()) << json << ": " << status;
  return message;
}

// "path: description" of the one violation, or the message of an error without one.
std::string Refusal(std::string_view json, const ParseOptions& options = {}) {
  Everything message;
  const absl::Status status = ParseJson(json, &message, options);
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
  const auto violations = FieldViolationsOf(status);
  if (violations.size() != 1) return std::string(status.message());
  return violations[0].field + ": " + violations[0].description;
}

TEST(ReadTest, AcceptsBothSpellingsOfNames) {
  EXPECT_EQ(Read(R"({"int32Field":1})").int32_field(), 1);
  EXPECT_EQ(Read(R"({"int32_field":1})").int32_field(), 1);
  EXPECT_EQ(Read(R"({"other-name":"x"})").renamed(), "x");
  EXPECT_EQ(Read(R"({"renamed":"x"})").renamed(), "x");
}

TEST(ReadTest, AcceptsIntegersInEveryFormTheMappingHas) {
  EXPECT_EQ(Read(R"({"int32Field":-2147483648})").int32_field(),
            std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(Read(R"({"int32Field":"17"})").int32_field(), 17);
  EXPECT_EQ(Read(R"({"int32Field":1.0})").int32_field(), 1);
  EXPECT_EQ(Read(R"({"int32Field":1e3})").int32_field(), 1000);
  EXPECT_EQ(Read(R"({"int32Field":"1.5e1"})").int32_field(), 15);
  EXPECT_EQ(Read(R"({"int32Field":1200e-2})").int32_field(), 12);
  EXPECT_EQ(Read(R"({"int32Field":-0})").int32_field(), 0);
  EXPECT_EQ(Read(R"({"int64Field":"9223372036854775807"})").int64_field(),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Read(R"({"int64Field":-9223372036854775808})").int64_field(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Read(R"({"int64Field":9007199254740993})").int64_field(), 9007199254740993);
  EXPECT_EQ(Read(R"({"uint64Field":"18446744073709551615"})").uint64_field(),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(Read(R"({"uint64Field":1.8446744073709551615e19})").uint64_field(),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(Read(R"({"uint32Field":0e999999})").uint32_field(), 0u);
}

TEST(ReadTest, RefusesIntegersOutOfRangeOrWithFractions) {
  for (const char* json :
       {R"({"int32Field":2147483648})", R"({"int32Field":"-2147483649"})", R"({"uint32Field":-1})",
        R"({"uint32Field":4294967296})", R"({"int64Field":9223372036854775808})",
        R"({"uint64Field":18446744073709551616})", R"({"uint64Field":"-1"})",
        R"({"int64Field":1e19})", R"({"int32Field":1e300})"}) {
    EXPECT_THAT(Refusal(json), HasSubstr("Field: expected an integer from")) << json;
  }
  for (const char* json : {R"({"int32Field":1.5})", R"({"int32Field":1e-1})",
                           R"({"int64Field":0.1})", R"({"int32Field":"1.00001"})"}) {
    EXPECT_THAT(Refusal(json), HasSubstr("with a fraction")) << json;
  }
  for (const char* json :
       {R"({"int32Field":""})", R"({"int32Field":" 1"})", R"({"int32Field":"1 "})",
        R"({"int32Field":"+1"})", R"({"int32Field":"01"})", R"({"int32Field":"0x1"})",
        R"({"int32Field":"1a"})", R"({"int32Field":true})", R"({"int32Field":[1]})",
        R"({"int32Field":"--1"})"}) {
    EXPECT_THAT(Refusal(json), HasSubstr("int32Field: expected")) << json;
  }
}

TEST(ReadTest, ReadsFloatsExactly) {
  EXPECT_EQ(Read(R"({"doubleField":1.7976931348623157e308})").double_field(),
            std::numeric_limits<double>::max());
  EXPECT_EQ(Read(R"({"doubleField":"0.1"})").double_field(), 0.1);
  EXPECT_EQ(Read(R"({"doubleField":2.2250738585072011e-308})").double_field(),
            2.2250738585072011e-308);
  EXPECT_EQ(Read(R"({"floatField":3.4028235e38})").float_field(),
            std::numeric_limits<float>::max());
  EXPECT_EQ(Read(R"({"doubleField":1e-999})").double_field(), 0);
  EXPECT_TRUE(std::isnan(Read(R"({"doubleField":"NaN"})").double_field()));
  EXPECT_TRUE(std::isinf(Read(R"({"floatField":"-Infinity"})").float_field()));
  EXPECT_THAT(Refusal(R"({"floatField":3.5e38})"), HasSubstr("magnitude at most"));
  EXPECT_THAT(Refusal(R"({"doubleField":1e999})"), HasSubstr("magnitude at most"));
  EXPECT_THAT(Refusal(R"({"doubleField":"nan"})"), HasSubstr("expected a number"));
  EXPECT_THAT(Refusal(R"({"doubleField":"1_0"})"), HasSubstr("expected a number"));
}

TEST(ReadTest, ReadsEnumsByNameAndNumber) {
  EXPECT_EQ(Read(R"({"color":"COLOR_BLUE"})").color(), testing::json::COLOR_BLUE);
  EXPECT_EQ(Read(R"({"color":-2})").color(), testing::json::COLOR_BLUE);
  EXPECT_EQ(Read(R"({"color":77})").color(), 77);
  EXPECT_EQ(Refusal(R"({"color":"blue"})"),
            "color: expected one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE");
  EXPECT_THAT(Refusal(R"({"color":1.5})"), HasSubstr("color: expected one of"));
  EXPECT_THAT(Refusal(R"({"color":true})"), HasSubstr("got a boolean"));
}

TEST(ReadTest, ReadsBytesInBothAlphabets) {
  EXPECT_EQ(Read(R"({"bytesField":"+/+/"})").bytes_field(), "\xfb\xff\xbf");
  EXPECT_EQ(Read(R"({"bytesField":"-_-_"})").bytes_field(), "\xfb\xff\xbf");
  EXPECT_EQ(Read(R"({"bytesField":"YQ=="})").bytes_field(), "a");
  EXPECT_EQ(Read(R"({"bytesField":"YQ"})").bytes_field(), "a");
  for (const char* json : {R"({"bytesField":"YQ="})", R"({"bytesField":"Y"})",
                           R"({"bytesField":"Y Q="})", R"({"bytesField":"===="})"}) {
    EXPECT_EQ(Refusal(json), "bytesField: expected bytes in base64") << json;
  }
}

TEST(ReadTest, ReadsListsMapsAndNestedMessages) {
  const Everything message = Read(
      R"({"int32List":[1,"2"],"stringMap":{"a":"b","":"c"},"intMap":{"-1":"5"},
          "boolMap":{"true":"COLOR_RED"},"innerMap":{"7":{"name":"x"}},
          "innerList":[{"inner":{"count":3}}]})");
  EXPECT_THAT(message.int32_list(), ::testing::ElementsAre(1, 2));
  EXPECT_EQ(message.string_map().at("a"), "b");
  EXPECT_EQ(message.string_map().at(""), "c");
  EXPECT_EQ(message.int_map().at(-1), 5);
  EXPECT_EQ(message.bool_map().at(true), testing::json::COLOR_RED);
  EXPECT_EQ(message.inner_map().at(7).name(), "x");
  EXPECT_EQ(message.inner_list(0).inner().count(), 3);
}

TEST(ReadTest, TreatsNullAsTheDefault) {
  const Everything message = Read(
      R"({"int32Field":null,"inner":null,"int32List":null,"stringMap":null,"timestamp":null,
          "int32Wrapper":null,"color":null,"choiceText":null,"choiceNumber":3})");
  EXPECT_FALSE(message.has_inner());
  EXPECT_FALSE(message.has_timestamp());
  EXPECT_FALSE(message.has_int32_wrapper());
  EXPECT_EQ(message.choice_number(), 3);
  EXPECT_EQ(Refusal(R"({"int32List":[null]})"), "int32List[0]: expected a value, got null");
  EXPECT_EQ(Refusal(R"({"stringMap":{"a":null}})"), "stringMap.a: expected a value, got null");
}

TEST(ReadTest, KeepsNullWhereItIsAValue) {
  EXPECT_TRUE(Read(R"({"value":null})").value().has_null_value());
  EXPECT_EQ(Read(R"({"valueList":[null,1]})").value_list_size(), 2);
  EXPECT_TRUE(Read(R"({"valueMap":{"a":null}})").value_map().at("a").has_null_value());
  EXPECT_EQ(Read(R"({"choiceNull":null})").choice_case(), Everything::kChoiceNull);
  EXPECT_EQ(Read(R"({"choiceValue":null})").choice_case(), Everything::kChoiceValue);
  EXPECT_EQ(Read(R"({"nullList":[null,"NULL_VALUE"]})").null_list_size(), 2);
}

TEST(ReadTest, RefusesTwoMembersOfAOneof) {
  EXPECT_EQ(Refusal(R"({"choiceText":"a","choiceNumber":1})"),
            "choiceNumber: excludes `choiceText`: expected one of the two at most");
  EXPECT_THAT(Refusal(R"({"choiceInner":{},"choiceText":""})"), HasSubstr("excludes"));
}

TEST(ReadTest, RefusesRepeatedNames) {
  EXPECT_EQ(Refusal(R"({"int32Field":1,"int32Field":2})"), "int32Field: is given twice");
  EXPECT_EQ(Refusal(R"({"int32Field":1,"int32_field":2})"), "int32_field: is given twice");
  EXPECT_EQ(Refusal(R"({"stringMap":{"a":"1","a":"2"}})"), "stringMap.a: is given twice");
  EXPECT_EQ(Refusal(R"({"intMap":{"1":1,"1.0":2}})"), "intMap[\"1.0\"]: is given twice");
  EXPECT_EQ(Refusal(R"({"struct":{"a":{"b":1,"b":2}}})"), "struct.a.b: is given twice");
  EXPECT_EQ(Refusal(R"({"inner":{"name":null,"name":"x"}})"), "inner.name: is given twice");
}

TEST(ReadTest, NamesThePlaceOfAnError) {
  Filtered message;
  const auto field_of = [&](std::string_view json) {
    const auto violations = FieldViolationsOf(ParseJson(json, &message));
    return violations.size() == 1 ? violations[0].field : "";
  };
  EXPECT_EQ(field_of(R"({"filters":[{"exact":{"source":1}}]})"), "filters[0].exact.source");
  EXPECT_EQ(field_of(R"({"filters":[{},{"all":[{"exat":{}}]}]})"), "filters[1].all[0].exat");
  EXPECT_EQ(field_of(R"({"filters":[{"exact":{"a b\"":1}}]})"), "filters[0].exact[\"a b\\\"\"]");
  EXPECT_EQ(field_of(R"({"filters":{}})"), "filters");
  const std::string long_name(1000, 'x');
  EXPECT_EQ(field_of("{\"" + long_name + "\":1}").size(), 64u);
  EXPECT_EQ(Refusal("[]"), "expected an object, got an array");
  EXPECT_EQ(Refusal("[]", {.root_path = "function"}), "function: expected an object, got an array");
  EXPECT_EQ(Refusal(R"({"a":1})", {.root_path = "function"}),
            "function.a: unknown field of Everything");
  EXPECT_THAT(Refusal("{", {.root_path = "function"}),
              HasSubstr("function: invalid JSON at line 1"));
}

TEST(ReadTest, IgnoresUnknownFieldsOnlyWhenAskedTo) {
  EXPECT_EQ(Refusal(R"({"nope":1})"), "nope: unknown field of Everything");
  const ParseOptions ignore{.ignore_unknown_fields = true};
  EXPECT_EQ(Refusal(R"({"nope":{"a":[1]},"inner":{"nope":1},"color":"NOPE"})", ignore), "accepted");
  EXPECT_THAT(Refusal(R"({"int32Field":"x"})", ignore), HasSubstr("int32Field"));
}

TEST(ReadTest, ReadsTimesAndDurations) {
  const auto time = Read(R"({"timestamp":"2026-01-02T03:04:05.678901234+01:30"})").timestamp();
  EXPECT_EQ(time.seconds(), 1767323045 - 5400);
  EXPECT_EQ(time.nanos(), 678901234);
  EXPECT_EQ(Read(R"({"timestamp":"1969-12-31T23:59:59.5Z"})").timestamp().seconds(), -1);
  EXPECT_EQ(Read(R"({"timestamp":"1969-12-31T23:59:59.5Z"})").timestamp().nanos(), 500000000);
  for (const char* text :
       {"2026-01-02", "2026-13-02T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-02T24:00:00Z",
        "2026-01-02T00:00:60Z", "2026-01-02T00:00:00", "2026-01-02 00:00:00Z",
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01", "2026-01-02T00:00:00.Z",
        "2026-01-02T00:00:00.1234567890Z", "2026-01-02T00:00:00+24:00", "", "2026-1-2T0:0:0Z",
        "0001-01-01T00:00:00+00:01", "2026-01-02T00:00:00Zx"}) {
    EXPECT_THAT(Refusal(std::string("{\"timestamp\":\"") + text + "\"}"),
                HasSubstr("timestamp: expected an RFC 3339 time"))
        << text;
  }
  const auto duration = Read(R"({"duration":"-1.5s"})").duration();
  EXPECT_EQ(duration.seconds(), -1);
  EXPECT_EQ(duration.nanos(), -500000000);
  EXPECT_EQ(Read(R"({"duration":"315576000000s"})").duration().seconds(), 315576000000);
  for (const char* text : {"1", "s", "1.s", ".5s", "+1s", "1.5m", "315576000001s", "1 s", "--1s",
                           "99999999999999999999s", "1.0000000001s"}) {
    EXPECT_THAT(Refusal(std::string("{\"duration\":\"") + text + "\"}"),
                HasSubstr("duration: expected a duration"))
        << text;
  }
}

TEST(ReadTest, ReadsFieldMasks) {
  EXPECT_THAT(Read(R"({"fieldMask":"fooBar,baz.quxQuux,snake_case"})").field_mask().paths(),
              ::testing::ElementsAre("foo_bar", "baz.qux_quux", "snake_case"));
  EXPECT_EQ(Read(R"({"fieldMask":""})").field_mask().paths_size(), 0);
  EXPECT_THAT(Refusal(R"({"fieldMask":"a,,b"})"), HasSubstr("fieldMask: expected field paths"));
  EXPECT_THAT(Refusal(R"({"fieldMask":"a,"})"), HasSubstr("expected field paths"));
  EXPECT_THAT(Refusal(R"({"fieldMask":"a b"})"), HasSubstr("expected field paths"));
}

TEST(ReadTest, ReadsStructsValuesAndWrappers) {
  const Everything message = Read(
      R"({"struct":{"a":[1,"x",true,null,{}]},"value":{"b":-0.5},"listValue":[[],{}],
          "doubleWrapper":0,"int64Wrapper":"-5","stringWrapper":"","bytesWrapper":"YQ==",
          "boolWrapper":false})");
  EXPECT_EQ(message.struct_().fields().at("a").list_value().values_size(), 5);
  EXPECT_EQ(message.value().struct_value().fields().at("b").number_value(), -0.5);
  EXPECT_EQ(message.list_value().values_size(), 2);
  EXPECT_TRUE(message.has_double_wrapper());
  EXPECT_EQ(message.int64_wrapper().value(), -5);
  EXPECT_TRUE(message.has_string_wrapper());
  EXPECT_EQ(message.bytes_wrapper().value(), "a");
  EXPECT_TRUE(message.has_bool_wrapper());
  EXPECT_EQ(Refusal(R"({"int32Wrapper":{}})"), "int32Wrapper: expected a number, got an object");
  EXPECT_THAT(Refusal(R"({"value":1e999})"), HasSubstr("fits a double"));
  EXPECT_EQ(Refusal(R"({"struct":[]})"), "struct: expected an object, got an array");
}

TEST(ReadTest, PacksAnAnyInOneWayWhateverTheOrderOfItsMaps) {
  const auto packed = [](const std::vector<std::string>& keys) {
    std::string map;
    for (const std::string& key : keys) map += (map.empty() ? "\"" : ",\"") + key + "\":\"v\"";
    return Read(R"({"any":{"@type":"type.googleapis.com/google.rpc.ErrorInfo","metadata":{)" + map +
                "}}}")
        .any()
        .value();
  };
  EXPECT_EQ(packed({"a", "b", "c", "d", "e", "f", "g"}),
            packed({"g", "c", "f", "a", "e", "b", "d"}));
}

TEST(ReadTest, ReadsAny) {
  const Everything message = Read(
      R"({"any":{"reason":"X","@type":"type.googleapis.com/google.rpc.ErrorInfo",
                 "metadata":{"k":"v"}},
          "anyList":[{},{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}]})");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(message.any().UnpackTo(&info));
  EXPECT_EQ(info.reason(), "X");
  EXPECT_EQ(info.metadata().at("k"), "v");
  google::protobuf::Duration duration;
  ASSERT_TRUE(message.any_list(1).UnpackTo(&duration));
  EXPECT_EQ(duration.seconds(), 1);
  EXPECT_EQ(Refusal(R"({"any":{"reason":"X"}})"), "any.@type: expected the type URL of the Any");
  EXPECT_THAT(Refusal(R"({"any":{"@type":"type.googleapis.com/no.such.Type"}})"),
              HasSubstr("any.@type: expected the URL of a known type"));
  EXPECT_THAT(Refusal(R"({"any":{"@type":"google.rpc.ErrorInfo"}})"), HasSubstr("known type"));
  EXPECT_THAT(Refusal(R"({"any":{"@type":"a/google.rpc.ErrorInfo","@type":"b"}})"),
              HasSubstr("@type: is given twice"));
  EXPECT_EQ(Refusal(R"({"any":{"@type":"a/google.rpc.ErrorInfo","nope":1}})"),
            "any.nope: unknown field of ErrorInfo");
  EXPECT_THAT(Refusal(R"({"any":{"@type":"a/google.protobuf.Duration"}})"),
              HasSubstr("any.value: expected the value"));
}

TEST(ReadTest, RefusesHostileTexts) {
  EXPECT_THAT(Refusal("{\"value\":" + std::string(100'000, '[')), HasSubstr("nested deeper"));
  std::string nested;
  for (int i = 0; i < 40; ++i) nested += "{\"inner\":";
  EXPECT_THAT(Refusal(nested), HasSubstr("nested deeper"));
  EXPECT_THAT(Refusal("{\"stringField\":\"\xff\"}"), HasSubstr("invalid JSON"));
  EXPECT_THAT(Refusal("{\"int32Field\":" + std::string(100'000, '9') + "}"),
              HasSubstr("int32Field: expected an integer from"));
  EXPECT_THAT(Refusal("{\"int32Field\":\"1e" + std::string(100'000, '9') + "\"}"),
              HasSubstr("int32Field: expected an integer from"));
  std::string many = "{\"stringMap\":{";
  for (int i = 0; i < 20000; ++i) many += "\"k" + std::to_string(i) + "\":\"\",";
  many.back() = '}';
  EXPECT_EQ(Read(many + "}").string_map_size(), 20000);
}

TEST(ReadTest, SetsFieldsFromPlainText) {
  Everything message;
  const JsonPath path("p");
  const auto set = [&](std::string_view name, std::string_view text) {
    return SetFieldFromText(text, path, FindField(message.GetDescriptor(), name), &message);
  };
  EXPECT_TRUE(set("int32List", "1").ok());
  EXPECT_TRUE(set("int32List", "2").ok());
  EXPECT_TRUE(set("boolField", "true").ok());
  EXPECT_TRUE(set("color", "COLOR_RED").ok());
  EXPECT_TRUE(set("timestamp", "2026-01-02T03:04:05Z").ok());
  EXPECT_TRUE(set("duration", "2s").ok());
  EXPECT_TRUE(set("fieldMask", "a,b").ok());
  EXPECT_TRUE(set("int64Wrapper", "7").ok());
  EXPECT_EQ(message.int32_list_size(), 2);
  EXPECT_EQ(message.int64_wrapper().value(), 7);
  EXPECT_EQ(message.field_mask().paths_size(), 2);
  EXPECT_FALSE(set("boolField", "1").ok());
  EXPECT_FALSE(set("stringField", "\xff").ok());
  EXPECT_FALSE(set("inner", "x").ok());
  EXPECT_FALSE(set("stringMap", "x").ok());
  const auto* map = FindField(message.GetDescriptor(), "intMap");
  EXPECT_TRUE(SetMapEntryFromText("1", "2", path, map, &message).ok());
  EXPECT_EQ(message.int_map().at(1), 2);
  EXPECT_FALSE(SetMapEntryFromText("x", "2", path, map, &message).ok());
}

}  // namespace
}  // namespace penstock::protojson
