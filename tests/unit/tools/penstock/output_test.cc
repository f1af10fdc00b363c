#include <gtest/gtest.h>

#include "libs/config/yaml.h"
#include "libs/protojson/json_tree.h"
#include "tools/penstock/input/documents.h"
#include "tools/penstock/output/table.h"
#include "tools/penstock/output/yaml_text.h"

namespace penstock::cli {
namespace {

TEST(TableTest, ColumnsAreAlignedAlsoBeyondAscii) {
  Table table({"NAME", "STATE"});
  table.AddRow({"é", "a"});
  table.AddRow({"longer", ""});
  EXPECT_EQ(table.ToString(),
            "NAME    STATE\n"
            "é       a\n"
            "longer  -\n");
}

TEST(TableTest, CellsAreOneCutLine) {
  EXPECT_EQ(CellText(" a \n\t b\x1b[0m "), "a b?[0m");
  EXPECT_EQ(CellText(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(CellText(std::string(61, 'x')), std::string(59, 'x') + "…");
  std::string wide;
  for (int i = 0; i < 61; ++i) wide += "é";
  EXPECT_EQ(CellText(wide).size(), 59U * 2 + 3);
}

TEST(TableTest, AgesAndDurationsAreShort) {
  EXPECT_EQ(ShortAge(std::chrono::seconds(-5)), "0s");
  EXPECT_EQ(ShortAge(std::chrono::seconds(119)), "119s");
  EXPECT_EQ(ShortAge(std::chrono::minutes(5)), "5m");
  EXPECT_EQ(ShortAge(std::chrono::hours(47)), "47h");
  EXPECT_EQ(ShortAge(std::chrono::hours(48)), "2d");
  EXPECT_EQ(ShortAge(std::chrono::hours(24 * 800)), "2y");
  EXPECT_EQ(AgeOf({}, WallTime()), "-");
  EXPECT_EQ(ShortDuration(ToProtoDuration(Microseconds(850))), "850us");
  EXPECT_EQ(ShortDuration(ToProtoDuration(Microseconds(12'000))), "12ms");
  EXPECT_EQ(ShortDuration(ToProtoDuration(Microseconds(1'250'000))), "1.25s");
  EXPECT_EQ(ShortDuration(ToProtoDuration(Microseconds(125'000'000))), "2m5s");
}

TEST(YamlTextTest, IsReadable) {
  const auto yaml = JsonToYaml(
      R"({"name":"a","n":1,"s":"1","empty":{},"list":[{"x":true,"y":null},"b"],"text":"l1\n  l2\n"})");
  EXPECT_EQ(*yaml,
            "name: a\n"
            "\"n\": 1\n"
            "s: \"1\"\n"
            "empty: {}\n"
            "list:\n"
            "- x: true\n"
            "  \"y\": null\n"
            "- b\n"
            "text: |\n"
            "  l1\n"
            "    l2\n");
}

TEST(YamlTextTest, ReadsBackAsTheSameValue) {
  for (
      const std::string json :
      {R"({"a":"true","b":"null","c":"~","d":"- x","e":"x: y","f":"#","g":"","h":"1e3","i":"no"})",
       R"({"t":" lead\n","u":"no end","v":"two\n\n","w":"a\nb\n","x":"tab\there\n","y y":"q\"\\"})",
       R"([[1,2],[],[{"a":[{"b":"c\nd\n"}]}],"é","\u0001"])", R"("text")", R"({})"}) {
    const auto yaml = JsonToYaml(json);
    ASSERT_TRUE(yaml.ok()) << json;
    config::Problems problems;
    const config::Value value = config::ParseYaml(*yaml, "y", problems);
    ASSERT_TRUE(problems.empty()) << problems.all()[0].ToString() << "\n" << *yaml;
    // The same values in JSON's own spelling.
    config::Problems other;
    EXPECT_EQ(ValueToJson(value), ValueToJson(config::ParseYaml(json, "j", other))) << *yaml;
  }
}

TEST(YamlTextTest, RefusesWhatIsNotJson) { EXPECT_FALSE(JsonToYaml("{").ok()); }

}  // namespace
}  // namespace penstock::cli
