#include "services/function-executor/drivers/process/json_text.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(JsonTextTest, EscapesWhatAJsonStringCannotHold) {
  std::string out;
  AppendJsonString(std::string_view("a\"\\\n\x01\0\xFF", 7), &out);
  EXPECT_EQ(out, "\"a\\\"\\\\\\n\\u0001\\u0000\xEF\xBF\xBD\"");
}

TEST(JsonTextTest, AcceptsJsonOnly) {
  for (const char* good : {"1", " {\"a\": [1, 2.50, null]} ", "\"x\"", "true"}) {
    EXPECT_TRUE(CheckJson(good).ok()) << good;
  }
  for (const char* bad : {"", " ", "{", "{'a': 1}", "[1,]", "1 2", "nul", "\"\n\"", "\"\xFF\""}) {
    EXPECT_FALSE(CheckJson(bad).ok()) << bad;
  }
}

TEST(JsonTextTest, RefusesJsonThatIsTooDeep) {
  EXPECT_TRUE(CheckJson(std::string(200, '[') + std::string(200, ']')).ok());
  EXPECT_FALSE(CheckJson(std::string(100'000, '[') + std::string(100'000, ']')).ok());
}

TEST(JsonTextTest, PutsJsonOnOneLineAndKeepsTheRest) {
  std::string out;
  AppendJsonOnOneLine("{\r\n  \"a\":\n 1.50,\n\"b\": \"x\\ny\"\n}\n", &out);
  EXPECT_EQ(out, "{  \"a\": 1.50,\"b\": \"x\\ny\"}");
}

TEST(JsonTextTest, SplitsAnObjectIntoRawMembers) {
  const auto members =
      SplitJsonObject(R"( { "a" : 1.50 , "b}": [{"c": "]}\""}, 2], "s":"x,y" , "o":{} } )");
  ASSERT_TRUE(members.has_value());
  EXPECT_THAT(*members, ElementsAre(Pair("a", "1.50"), Pair("b}", R"([{"c": "]}\""}, 2])"),
                                    Pair("s", R"("x,y")"), Pair("o", "{}")));
  EXPECT_EQ(JsonMember(*members, "a"), "1.50");
  EXPECT_EQ(JsonMember(*members, "missing"), "");
}

TEST(JsonTextTest, SplitsNothingButObjects) {
  EXPECT_FALSE(SplitJsonObject("[1]").has_value());
  EXPECT_FALSE(SplitJsonObject("\"{}\"").has_value());
  EXPECT_TRUE(SplitJsonObject("{}")->empty());
}

}  // namespace
}  // namespace penstock::executor
