#include "libs/config/binder.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "libs/config/yaml.h"

namespace penstock::config {
namespace {

TEST(BinderTest, IntegersKeepWithinTheirType) {
  std::uint16_t port = 1;
  std::int64_t big = 0;
  Binder binder;
  binder.Int("port", &port, "a port");
  binder.Int("big", &big, "big");
  const auto read = [&](const std::string& yaml) {
    Problems problems;
    binder.ReadMap(ParseYaml(yaml, "t", problems), "", problems);
    return problems.empty();
  };
  EXPECT_TRUE(read("port: 65535"));
  EXPECT_EQ(port, 65535);
  for (const char* bad : {"port: 65536", "port: -1", "port: 1.5", "port: 0x10", "port: ''",
                          "port: '1 '", "big: 9223372036854775808"}) {
    EXPECT_FALSE(read(bad)) << bad;
  }
  EXPECT_EQ(port, 65535);
  EXPECT_TRUE(read("big: -9223372036854775808"));
}

TEST(BinderDeathTest, ConflictingKeysAreAProgrammersError) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  std::string text;
  Binder binder;
  binder.String("a.b", &text, "");
  EXPECT_DEATH(binder.String("a.b", &text, ""), "bound twice");
  EXPECT_DEATH(binder.String("a", &text, ""), "section");
  EXPECT_DEATH(binder.String("a.b.c", &text, ""), "lies under");
  EXPECT_DEATH(binder.String("a_b", &text, ""), "environment variable");
}

}  // namespace
}  // namespace penstock::config
