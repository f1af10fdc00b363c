#include "libs/protojson/json_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace penstock::protojson {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  JsonDocument document;
  const absl::Status status = document.Parse(text);
  return status.ok() ? "" : std::string(status.message());
}

TEST(JsonTreeTest, KeepsKindsTextsAndRawSlices) {
  JsonDocument document;
  const std::string text =
      " {\"a\" : [1, -2.50e+3 ,true,\tfalse,null], \"b\\n\":{ }, \"c\":\"x\\u0041\\\"y\",\"d\":[] "
      "}\n";
  ASSERT_TRUE(document.Parse(text).ok());
  const JsonValue root = document.root();
  ASSERT_TRUE(root.is_object());
  EXPECT_EQ(root.size(), 4u);
  EXPECT_EQ(root.raw(), text.substr(1, text.size() - 2));
  std::vector<std::string> seen;
  for (const auto& [key, value] : root.members()) {
    seen.push_back(std::string(key) + "=" + std::string(value.raw()));
  }
  EXPECT_THAT(seen, testing::ElementsAre("a=[1, -2.50e+3 ,true,\tfalse,null]", "b\n={ }",
                                         "c=\"x\\u0041\\\"y\"", "d=[]"));
  const JsonValue list = (*root.members().begin()).value;
  std::vector<std::string> raws;
  for (const JsonValue value : list.elements()) raws.emplace_back(value.raw());
  EXPECT_THAT(raws, testing::ElementsAre("1", "-2.50e+3", "true", "false", "null"));
}

TEST(JsonTreeTest, DecodesEscapesIncludingSurrogates) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse(R"(["\ud83d\ude00\t","plain","\/","\\"])").ok());
  std::vector<std::string> texts;
  for (const JsonValue value : document.root().elements()) texts.emplace_back(value.text());
  EXPECT_THAT(texts, testing::ElementsAre("\xF0\x9F\x98\x80\t", "plain", "/", "\\"));
}

TEST(JsonTreeTest, KeepsDuplicateMembersAndExactDigits) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse(R"({"a":1,"a":123456789012345678901234567890.5})").ok());
  std::vector<std::string> texts;
  for (const auto& [key, value] : document.root().members()) texts.emplace_back(value.text());
  EXPECT_THAT(texts, testing::ElementsAre("1", "123456789012345678901234567890.5"));
}

TEST(JsonTreeTest, ParsesScalarsAtTheRoot) {
  for (const char* text : {"1", " -0.5e3 ", "\"x\"", "true", "null", "[]", "{}", "\"\\n\""}) {
    JsonDocument document;
    EXPECT_TRUE(document.Parse(text).ok()) << text;
  }
}

TEST(JsonTreeTest, SaysLineAndColumnOfSyntaxErrors) {
  EXPECT_EQ(ErrorOf("{\n  \"a\": tru\n}"), "invalid JSON at line 2, column 8: unexpected 't'");
  EXPECT_THAT(ErrorOf("{\"a\":1,}"), HasSubstr("line 1, column 8: unexpected '}'"));
  EXPECT_THAT(ErrorOf("[1,2"), HasSubstr("line 1, column 5: unexpected end"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("unexpected end"));
  EXPECT_THAT(ErrorOf("1 2"), HasSubstr("column 3: unexpected text after the value"));
}

TEST(JsonTreeTest, RefusesWhatJsonDoesNotHave) {
  for (const char* text : {"{a:1}",
                           "{'a':1}",
                           "[1,]",
                           "[01]",
                           "[+1]",
                           "[.5]",
                           "[1.]",
                           "[1e]",
                           "nul",
                           "NaN",
                           "[Infinity]",
                           "// c\n1",
                           "{\"a\":1 \"b\":2}",
                           "\"\x01\"",
                           "\"\\x\"",
                           "\"\\ud800\"",
                           "\"unfinished",
                           "{\"a\"}",
                           "[1}",
                           "\xEF\xBB\xBF{}",
                           "\"\xff\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "-",
                           "[1 2]"}) {
    EXPECT_NE(ErrorOf(text), "") << text;
    EXPECT_FALSE(IsValidJson(text)) << text;
  }
}

TEST(JsonTreeTest, RefusesDeepNestingAtOnce) {
  EXPECT_EQ(ErrorOf(std::string(32, '[') + std::string(32, ']')), "");
  EXPECT_THAT(ErrorOf(std::string(33, '[') + std::string(33, ']')),
              HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(ErrorOf(std::string(1'000'000, '[')), HasSubstr("nested deeper"));
  EXPECT_FALSE(IsValidJson(std::string(129, '[') + std::string(129, ']'), 128));
  EXPECT_TRUE(IsValidJson(std::string(128, '[') + std::string(128, ']'), 128));
}

TEST(JsonTreeTest, RandomMutationsNeverBreakIt) {
  std::mt19937 random(7);
  const std::string seed = R"({"a":[1,2.5e3,"x\u00e9\n",{"b":null}],"c":true,"d":"\ud83d\ude00"})";
  int valid = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = seed;
    for (int n = static_cast<int>(random() % 4); n >= 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, random() % 5); break;
        default: text.insert(at, 1, "{}[],:\"\\0e-. u"[random() % 14]); break;
      }
      if (text.empty()) text = "x";
    }
    JsonDocument document;
    const bool parsed = document.Parse(text).ok();
    ASSERT_EQ(parsed, IsValidJson(text)) << text;
    if (!parsed) continue;
    ++valid;
    // The slices of all parts must again be JSON.
    for (const auto& [key, value] : document.root().members()) {
      ASSERT_TRUE(IsValidJson(value.raw())) << text;
    }
  }
  EXPECT_GT(valid, 100);
}

}  // namespace
}  // namespace penstock::protojson
