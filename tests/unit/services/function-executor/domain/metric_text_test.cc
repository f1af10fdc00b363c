#include "services/function-executor/domain/metric_text.h"

#include <string>

#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

TEST(MetricTextTest, ReadsNamesValuesAndLabels) {
  const auto metrics =
      ParseMetrics(R"([{"name":"orders","value":2.5,"labels":{"kind":"big"}},{"name":"calls"}])");
  ASSERT_EQ(metrics.size(), 2U);
  EXPECT_EQ(metrics[0].name, "orders");
  EXPECT_EQ(metrics[0].value, 2.5);
  EXPECT_EQ(metrics[0].labels.at("kind"), "big");
  EXPECT_EQ(metrics[1].value, 1) << "a name alone counts";
}

TEST(MetricTextTest, LeavesOutWhatIsNoMeasurement) {
  EXPECT_TRUE(ParseMetrics("").empty());
  EXPECT_TRUE(ParseMetrics("{").empty());
  EXPECT_TRUE(ParseMetrics(R"({"name":"a"})").empty()) << "no list";
  const auto metrics = ParseMetrics(
      R"([1, {"name":"a","value":"much"}, {"name":"b","labels":{"x":1}}, {"name":"c"}])");
  ASSERT_EQ(metrics.size(), 1U);
  EXPECT_EQ(metrics[0].name, "c");
}

TEST(MetricTextTest, ReadsAtMost32) {
  std::string text = "[";
  for (int i = 0; i < 40; ++i) text += std::string(i > 0 ? "," : "") + R"({"name":"a"})";
  EXPECT_EQ(ParseMetrics(text + "]").size(), 32U);
}

}  // namespace
}  // namespace penstock::executor
