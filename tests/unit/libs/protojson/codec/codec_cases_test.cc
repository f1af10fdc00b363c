// One table for both ways to read: each text gives the same message, or the same error, with
// generated code and by reflection.
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/cloudevents/json_format.h"
#include "libs/protojson/codec.h"
#include "tests/unit/libs/protojson/json_test.pb.h"

namespace penstock::protojson {
namespace {

using google::protobuf::util::MessageDifferencer;
using penstock::testing::json::Envelope;
using penstock::testing::json::Everything;
using penstock::testing::json::Inner;
using penstock::testing::json::ListInnersResponse;

// Values of one field: what is taken, and what is refused.
struct Case {
  std::string field;
  std::vector<std::string> taken;
  std::vector<std::string> refused;
};

std::vector<Case> IntegerCases(const std::string& kind, const std::string& min,
                               const std::string& below, const std::string& max,
                               const std::string& above) {
  return {{kind,
           {"0", "-0", "7", "\"7\"", "1.0", "1e2", "\"1e2\"", "10E-1", min, max, "\"" + max + "\"",
            "null", " 7 "},
           {"1.5", below, above, "\"\"", "\"x\"", "\" 7\"", "01", "+1", "1.", ".5", "true", "[]",
            "{}", "\"NaN\"", "nul", "-"}}};
}

std::vector<Case> ScalarCases() {
  std::vector<Case> cases = {
      {"boolField", {"true", "false", "null"}, {"1", "\"true\"", "tru", "falsey", "[]"}},
      {"stringField",
       {"\"\"", R"("a\"\\\/\b\f\n\r\t")", R"("\u00e9\ud83d\ude00\u0000")", "\"é日\"", "\"\x7f\"",
        "null", R"("0123456789abcdef0123456789abcdé\n")"},
       {"1", "true", R"("\x")", R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", "\"\x80\"",
        "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"a\nb\"", "\"a", R"("\u12")", "'a'", "\"\\"}},
      {"bytesField",
       {"\"\"", "\"AQID\"", "\"AQI=\"", "\"AQI\"", "\"-_8\"", "\"+/8=\"", "null", R"("AQ\u0049D")"},
       {"\"A\"", "\"!!!!\"", "1", "\"AQ ID\""}},
      {"color",
       {"\"COLOR_RED\"", "1", "-2", "17", "1.0", "null", R"("COLOR\u005fRED")"},
       {"\"RED\"", "\"color_red\"", "\"1\"", "\"\"", "2147483648", "1.5", "true"}},
      {"doubleField",
       {"0", "-0", "1.5", "\"1.5\"", "1e-400", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1e308",
        "null", "12345678901234567890"},
       {"1e400", "NaN", "\"nan\"", "\"\"", "01", "1.e1", "true"}},
      {"floatField", {"0.1", "\"3\"", "-0.0", "\"Infinity\""}, {"1e39", "\"x\"", "[1]"}},
      {"other-name", {"\"a\"", "null"}, {"1"}},
      {"renamed", {"\"a\""}, {"{}"}},
      {"string_field", {"\"a\""}, {"1"}},
      {"stringfield", {}, {"\"a\"", "null"}},
      {"string\\u0046ield", {"\"a\""}, {"1"}}};
  for (const auto& [width, min, below, max, above] :
       {std::array<std::string, 5>{"32", "-2147483648", "-2147483649", "2147483647", "2147483648"},
        std::array<std::string, 5>{"64", "-9223372036854775808", "-9223372036854775809",
                                   "9223372036854775807", "9223372036854775808"}}) {
    for (const std::string kind : {"int", "sint", "sfixed"}) {
      for (Case& one : IntegerCases(kind + width + "Field", min, below, max, above)) {
        cases.push_back(std::move(one));
      }
    }
  }
  for (const auto& [width, max, above] :
       {std::array<std::string, 3>{"32", "4294967295", "4294967296"},
        std::array<std::string, 3>{"64", "18446744073709551615", "18446744073709551616"}}) {
    for (const std::string kind : {"uint", "fixed"}) {
      for (Case& one : IntegerCases(kind + width + "Field", "0", "-1", max, above)) {
        cases.push_back(std::move(one));
      }
    }
  }
  return cases;
}

std::vector<Case> ContainerCases() {
  return {{"int32List",
           {"[]", "[1,\"2\", 3 ]", "null"},
           {"[null]", "[1,]", "[,1]", "[1 2]", "1", "{}"}},
          {"int64List", {"[\"1\",2]"}, {"[true]", "[1"}},
          {"uint32List", {"[1]"}, {"[-1]"}},
          {"uint64List", {"[1]"}, {"[-1]"}},
          {"floatList", {"[1.5,\"NaN\"]"}, {"[\"\"]"}},
          {"doubleList", {"[1.5]"}, {"[[]]"}},
          {"boolList", {"[true,false]"}, {"[0]"}},
          {"stringList", {R"(["a","\n",""])"}, {"[1]", "[\"a\" \"b\"]"}},
          {"bytesList", {R"(["AQ==",""])"}, {"[\"*\"]"}},
          {"colorList", {R"(["COLOR_BLUE",1])"}, {"[\"x\"]"}},
          {"innerList", {R"([{},{"name":"a"}])"}, {"[null]", "[1]", R"([{"nam":1}])"}},
          {"inner",
           {"{}", R"({"name":"a","count":1,"inner":{"inner":{}},"inners":[{}]})", "null"},
           {"[]", R"({"name":"a","name":"b"})", R"({"x":1})", R"({"name" "a"})", R"({"name":"a",})",
            R"({name:"a"})", "{", R"({"name":"a")", R"({"inner":{"inner":{"count":"x"}}})"}},
          {"stringMap",
           {"{}", R"({"a":"b","":"c","\n":""})", "null"},
           {R"({"a":null})", R"({"a":"b","a":"c"})", R"({"a":1})", "[]", R"({"a"})"}},
          {"intMap", {R"({"1":"2","-3":4})"}, {R"({"x":1})", R"({"1":1,"1.0":2})", R"({"":1})"}},
          {"boolMap", {R"({"true":"COLOR_RED","false":0})"}, {R"({"1":1})", R"({"true":"x"})"}},
          {"innerMap", {R"({"1":{"name":"a"}})"}, {R"({"-1":{}})", R"({"1":null})"}},
          {"valueMap", {R"({"a":null,"b":[1],"c":{}})"}, {R"({"a":[1,]})"}},
          {"longMap", {R"({"9223372036854775807":0.5})"}, {R"({"9223372036854775808":1})"}},
          {"uintMap", {R"({"7":"AQ=="})"}, {R"({"7":"*"})"}}};
}

std::vector<Case> WellKnownCases() {
  return {
      {"choiceText", {"\"a\"", "\"\"", "null"}, {"1", "\"a\",\"choiceNumber\":1"}},
      {"choiceNumber", {"0", "0,\"choiceText\":null"}, {"1,\"choice_text\":\"\""}},
      {"choiceInner", {"{}"}, {"{},\"choiceNull\":null", "1"}},
      {"choiceNull", {"null", "\"NULL_VALUE\"", "0"}, {"\"x\"", "null,\"choiceNumber\":1"}},
      {"choiceValue", {"null", "1", "{\"a\":[null]}"}, {"null,\"choiceNull\":null"}},
      {"timestamp",
       {"\"2026-01-02T03:04:05Z\"", "\"2026-01-02T03:04:05.123456789+01:30\"", "null"},
       {"\"2026-01-02\"", "1", "\"\"", "{}", "\"2026-13-02T03:04:05Z\""}},
      {"duration", {"\"1.5s\"", "\"-0.000000001s\"", "null"}, {"\"1.5\"", "1", "\"s\""}},
      {"fieldMask",
       {"\"fooBar.baz,qux\"", "\"\"", "\"foo_bar\"", "null"},
       {"\"a-b\"", "\",\"", "[]"}},
      {"struct", {"{}", R"({"a":{"b":[1,"x",true,null]}})", "null"}, {"[]", R"({"a":1,"a":2})"}},
      {"value", {"null", "1", "\"a\"", "[]", "{}", "true", "-0"}, {"1e400", "[", "nul"}},
      {"listValue", {"[]", "[null,[[]]]", "null"}, {"{}", "null,\"listValue\":[]"}},
      {"any",
       {"{}", R"({"@type":"type.googleapis.com/penstock.testing.json.Inner","name":"a"})",
        R"({"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"})", "null"},
       {"1", R"({"name":"a"})", R"({"@type":"x"})",
        R"({"@type":"type.googleapis.com/penstock.testing.json.Inner","nam":"a"})"}},
      {"empty", {"{}", "null"}, {R"({"a":1})", "[]"}},
      {"nullValue", {"null", "0", "\"NULL_VALUE\""}, {"\"\"", "true"}},
      {"doubleWrapper", {"0", "\"NaN\"", "null"}, {"{}"}},
      {"floatWrapper", {"0.5"}, {"1e39"}},
      {"int64Wrapper", {"\"0\"", "1"}, {"1.5"}},
      {"uint64Wrapper", {"1"}, {"-1"}},
      {"int32Wrapper", {"0"}, {"2147483648"}},
      {"uint32Wrapper", {"0"}, {"-1"}},
      {"boolWrapper", {"false"}, {"0"}},
      {"stringWrapper", {"\"\"", "\"\\n\""}, {"0"}},
      {"bytesWrapper", {"\"\"", "\"AQ\""}, {"\"*\""}},
      {"timestampList", {"[\"2026-01-02T03:04:05Z\"]"}, {"[null]"}},
      {"int32WrapperList", {"[0,1]"}, {"[null]"}},
      {"valueList", {"[null,1]"}, {"[1,,2]"}},
      {"anyList", {"[{}]"}, {"[null]"}},
      {"nullList", {"[null,0,\"NULL_VALUE\"]"}, {"[1.5]"}}};
}

void CheckTaken(const std::string& text) {
  Everything by_codec;
  Everything by_reflection;
  ASSERT_TRUE(ParseJsonByCodec(text, &by_codec)) << text;
  const absl::Status status = ParseJsonByReflection(text, &by_reflection);
  ASSERT_TRUE(status.ok()) << text << status;
  EXPECT_EQ(by_codec.ShortDebugString(), by_reflection.ShortDebugString()) << text;
  for (const bool pretty : {false, true}) {
    std::string written;
    std::string expected;
    EXPECT_TRUE(AppendJsonByCodec(by_codec, &written, {.pretty = pretty})) << text;
    EXPECT_TRUE(AppendJsonByReflection(by_codec, &expected, {.pretty = pretty}).ok()) << text;
    EXPECT_EQ(written, expected);
  }
}

void CheckRefused(const std::string& text) {
  Everything message;
  EXPECT_FALSE(ParseJsonByCodec(text, &message)) << text;
  const absl::Status expected = ParseJsonByReflection(text, &message);
  EXPECT_FALSE(expected.ok()) << text;
  EXPECT_EQ(ParseJson(text, &message), expected) << text;
}

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    for (const std::string& value : one.taken) {
      CheckTaken("{\"" + one.field + "\":" + value + "}");
    }
    for (const std::string& value : one.refused) {
      CheckRefused("{\"" + one.field + "\":" + value + "}");
    }
  }
}

TEST(CodecCasesTest, Scalars) { CheckAll(ScalarCases()); }
TEST(CodecCasesTest, ListsMapsAndMessages) { CheckAll(ContainerCases()); }
TEST(CodecCasesTest, OneofsAndWellKnownTypes) { CheckAll(WellKnownCases()); }

TEST(CodecCasesTest, Documents) {
  for (const char* text : {"{}", " \t\r\n{ } \n"}) CheckTaken(text);
  for (const char* text :
       {"", " ", "null", "[]", "{}x", "{} {}", "{\"", "\xEF\xBB\xBF{}", "// a\n{}",
        "{\"int32Field\":1 \"color\":1}", "{\"int32Field\":1;}", "{,}"}) {
    CheckRefused(text);
  }
}

TEST(CodecCasesTest, DepthIsLimitedAsByReflection) {
  for (int depth = 28; depth < 36; ++depth) {
    for (const auto& [open, close] : {std::pair<std::string, std::string>{"{\"inner\":", "}"},
                                      std::pair<std::string, std::string>{"[", "]"}}) {
      std::string text = open == "[" ? "{\"value\":" : "";
      for (int i = 1; i < depth; ++i) text += open;
      text += open == "[" ? "[]" : "{}";
      for (int i = 1; i < depth; ++i) text += close;
      if (open == "[") text += "}";
      Everything message;
      EXPECT_EQ(ParseJsonByCodec(text, &message), ParseJsonByReflection(text, &message).ok())
          << text;
    }
  }
}

TEST(CodecCasesTest, UnknownNamesAreSkippedWhenAskedFor) {
  const ParseOptions options{.ignore_unknown_fields = true};
  Inner message;
  EXPECT_TRUE(
      ParseJsonByCodec(R"({"x":[{"a":null},1e5,"\n",true],"name":"n"})", &message, options));
  EXPECT_EQ(message.name(), "n");
  for (const char* text :
       {R"({"x":[1,],"name":"n"})", R"({"x":01})", R"({"x":"\x"})", R"({"x":tru})"}) {
    EXPECT_FALSE(ParseJsonByCodec(text, &message, options)) << text;
  }
  Everything everything;
  EXPECT_TRUE(ParseJsonByCodec(R"({"color":"PINK","colorList":["PINK","COLOR_RED"]})", &everything,
                               options));
  EXPECT_EQ(everything.color_list_size(), 1);
}

TEST(CodecCasesTest, EmptyListsOfListResponsesAreWritten) {
  std::string text;
  ASSERT_TRUE(AppendJsonByCodec(ListInnersResponse(), &text));
  EXPECT_EQ(text, R"({"inners":[]})");
  text.clear();
  ASSERT_TRUE(AppendJsonByCodec(ListInnersResponse(), &text, {.print_empty_lists = false}));
  EXPECT_EQ(text, "{}");
}

TEST(CodecCasesTest, WhatHasNoJsonFormLeavesTheTextAsItWas) {
  Everything message;
  message.mutable_timestamp()->set_nanos(-1);
  std::string text = "before";
  EXPECT_FALSE(AppendJsonByCodec(message, &text));
  EXPECT_EQ(text, "before");
  std::string by_reflection;
  EXPECT_EQ(AppendJson(message, &text), AppendJsonByReflection(message, &by_reflection));

  Inner deep;
  Inner* inner = &deep;
  for (int i = 0; i < kMaxMessageDepth; ++i) inner = inner->mutable_inner();
  text.clear();
  by_reflection.clear();
  EXPECT_FALSE(AppendJsonByCodec(deep, &text));
  EXPECT_FALSE(AppendJsonByReflection(deep, &by_reflection).ok());
}

TEST(CodecCasesTest, DefaultsAreWrittenByReflection) {
  std::string text;
  EXPECT_FALSE(AppendJsonByCodec(Inner(), &text, {.always_print_defaults = true}));
  EXPECT_EQ(*PrintJson(Inner(), {.always_print_defaults = true}),
            R"({"name":"","count":0,"inners":[]})");
}

TEST(CodecCasesTest, DynamicMessagesAreLeftToReflection) {
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> message(
      factory.GetPrototype(Inner::descriptor())->New());
  EXPECT_FALSE(ParseJsonByCodec(R"({"name":"a"})", message.get()));
  ASSERT_TRUE(ParseJson(R"({"name":"a"})", message.get()).ok());
  std::string text;
  EXPECT_FALSE(AppendJsonByCodec(*message, &text));
  EXPECT_EQ(*PrintJson(*message), R"({"name":"a"})");
}

TEST(CodecCasesTest, HooksAreObeyedInside) {
  cloudevents::RegisterJsonForm();
  const std::string text =
      R"({"event":{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{ "a": 1.50}}})";
  Envelope by_codec;
  Envelope by_reflection;
  ASSERT_TRUE(ParseJsonByCodec(text, &by_codec));
  ASSERT_TRUE(ParseJsonByReflection(text, &by_reflection).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(by_codec, by_reflection));
  EXPECT_EQ(by_codec.event().binary_data(), R"({ "a": 1.50})");
  std::string written;
  std::string expected;
  EXPECT_TRUE(AppendJsonByCodec(by_codec, &written));
  EXPECT_TRUE(AppendJsonByReflection(by_codec, &expected).ok());
  EXPECT_EQ(written, expected);
  EXPECT_FALSE(ParseJsonByCodec(R"({"more":[null]})", &by_codec));
  EXPECT_FALSE(ParseJsonByCodec(R"({"event":{"id":1}})", &by_codec));
}

}  // namespace
}  // namespace penstock::protojson
