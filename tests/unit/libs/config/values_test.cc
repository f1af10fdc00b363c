// Sizes, addresses, suggestions and YAML values on their own.
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/config/binder.h"
#include "libs/config/listen_address.h"
#include "libs/config/suggest.h"
#include "libs/config/value.h"
#include "libs/config/yaml.h"

namespace penstock::config {
namespace {

using testing::HasSubstr;

TEST(BytesTest, ParsesUnits) {
  EXPECT_EQ(*ParseBytes("0"), 0);
  EXPECT_EQ(*ParseBytes("512"), 512);
  EXPECT_EQ(*ParseBytes("512B"), 512);
  EXPECT_EQ(*ParseBytes("10kB"), 10'000);
  EXPECT_EQ(*ParseBytes("64MiB"), 64 << 20);
  EXPECT_EQ(*ParseBytes("2 GiB"), std::int64_t{2} << 30);
}

TEST(BytesTest, RefusesWhatIsNotASize) {
  for (const char* bad : {"", "MiB", "-1", "1.5MiB", "1XB", "1mib", "9999999TiB", "1 2", "1MiB "}) {
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
  }
}

TEST(BytesTest, FormatsWhatItParses) {
  for (const std::int64_t bytes :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{1023}, std::int64_t{1024},
        std::int64_t{3} << 20, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(*ParseBytes(FormatBytes(bytes)), bytes);
  }
  EXPECT_EQ(FormatBytes(64 << 20), "64MiB");
}

TEST(ListenAddressTest, ParsesBothFamiliesAndShortForms) {
  EXPECT_EQ(*ParseListenAddress("0.0.0.0:80"), (ListenAddress{"0.0.0.0", 80}));
  EXPECT_EQ(*ParseListenAddress("[::1]:65535"), (ListenAddress{"::1", 65535}));
  EXPECT_EQ(*ParseListenAddress("localhost:0"), (ListenAddress{"127.0.0.1", 0}));
  EXPECT_EQ(*ParseListenAddress("*:8080"), (ListenAddress{"0.0.0.0", 8080}));
  EXPECT_EQ(ParseListenAddress("[::1]:1")->ToString(), "[::1]:1");
}

TEST(ListenAddressTest, RefusesNamesAndBadPorts) {
  for (const char* bad :
       {"", ":", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x",
        "example.org:80", "::1:80", "[::1]", "[]:1", "[1.2.3.4]:1", "256.0.0.1:1"}) {
    EXPECT_FALSE(ParseListenAddress(bad).ok()) << bad;
  }
}

TEST(ListenAddressTest, KnowsLoopback) {
  EXPECT_TRUE(ParseListenAddress("127.9.9.9:1")->IsLoopback());
  EXPECT_TRUE(ParseListenAddress("[::1]:1")->IsLoopback());
  EXPECT_FALSE(ParseListenAddress("0.0.0.0:1")->IsLoopback());
  EXPECT_FALSE(ParseListenAddress("[::]:1")->IsLoopback());
}

TEST(SuggestTest, FindsNearNamesAndNoFarOnes) {
  const std::vector<std::string> names = {"http.listen", "http.timeout", "store.path"};
  EXPECT_EQ(Suggest("http.listn", names), "http.listen");
  EXPECT_EQ(Suggest("htpt.timeout", names), "http.timeout");
  EXPECT_EQ(Suggest("path", names), "store.path");
  EXPECT_EQ(Suggest("grpc.path", names), "store.path");
  EXPECT_EQ(Suggest("completely.else", names), "");
  EXPECT_EQ(Suggest("", names), "");
  EXPECT_EQ(Suggest(std::string(10'000, 'x'), names), "");
}

TEST(YamlTest, KeepsPlacesAndKinds) {
  Problems problems;
  const Value value = ParseYaml("a:\n  b: [1, \"x\"]\nc: ~\nd: \"null\"\n", "f.yaml", problems);
  ASSERT_TRUE(problems.empty());
  const Value* const list = value.Find("a")->Find("b");
  ASSERT_TRUE(list->is_list());
  EXPECT_EQ(list->items[1].text, "x");
  EXPECT_TRUE(list->items[1].quoted);
  EXPECT_EQ(list->items[1].place.ToString(), "f.yaml:2:10");
  EXPECT_TRUE(value.Find("c")->is_null());
  EXPECT_EQ(value.Find("d")->text, "null");
  EXPECT_EQ(value.Find("e"), nullptr);
}

TEST(YamlTest, BoundsAliasesAndDepth) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [" + last;
    for (int n = 0; n < 9; ++n) bomb += ", " + last;
    bomb += "]\n";
  }
  Problems problems;
  ParseYaml(bomb, "f", problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems.all()[0].message, HasSubstr("more than"));

  for (const int depth : {100, 100'000}) {
    Problems deep;
    ParseYaml(std::string(static_cast<std::size_t>(depth), '['), "f", deep);
    EXPECT_FALSE(deep.empty());
  }
  Problems nested;
  ParseYaml(std::string(100, '[') + std::string(100, ']'), "f", nested);
  EXPECT_EQ(nested.size(), 1u);
}

// yaml-cpp makes empty documents of it for ever.
TEST(YamlTest, TextOfEndlessDocumentsEnds) {
  Problems problems;
  ParseYaml(",,u\xa1", "f", problems);
  EXPECT_FALSE(problems.empty());
}

TEST(YamlTest, RefusesAFileThatIsTooLarge) {
  Problems problems;
  ParseYaml(std::string(kYamlBytesMax + 1, '#'), "f", problems);
  EXPECT_EQ(problems.size(), 1u);
}

// Compares without places.
bool Same(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!Same(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key != b.entries[i].key) return false;
    if (!Same(a.entries[i].value, b.entries[i].value)) return false;
  }
  return true;
}

TEST(YamlTest, WrittenValuesReadBackTheSame) {
  Value item = Value::Map();
  item.Add("x", Value::List({Value::Scalar("1"), Value::Map(), Value::List()}));
  item.Add("y", Value::Null());
  Value root = Value::Map();
  for (const char* text : {"", "plain", "a b", "~", "null", "- x", "a: b", "#c", "\"q\"", "\\",
                           "line\nbreak\ttab", "\x01", "é", "'", "*a", "%x", "true", ":", "a:"}) {
    root.Add(std::string("k") + text, Value::Scalar(text));
  }
  root.Add("list", Value::List({item, Value::List({Value::Scalar("z"), item}), Value::Null()}));
  root.Add("deep", item);
  Problems problems;
  const std::string yaml = ToYaml(root);
  const Value back = ParseYaml(yaml, "f", problems);
  EXPECT_TRUE(problems.empty()) << problems.all()[0].ToString() << "\n" << yaml;
  EXPECT_TRUE(Same(root, back)) << yaml;
}

}  // namespace
}  // namespace penstock::config
