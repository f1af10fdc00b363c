#include "services/function-executor/app/function_metrics.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

FunctionSpec Function(const std::string& id) {
  FunctionSpec function;
  function.space = "shop";
  function.id = id;
  return function;
}

TEST(FunctionMetricsTest, AddsUpByNameLabelsAndFunction) {
  metrics::Registry registry;
  FunctionMetrics metrics(registry, 10);
  metrics.Add(Function("f"), {{"orders", 2, {{"kind", "big"}}}, {"orders", 3, {{"kind", "big"}}}});
  metrics.Add(Function("f"), {{"orders", 1, {{"kind", "small"}}}, {"calls", 1, {}}});
  metrics.Add(Function("g"), {{"calls", 1, {}}});
  const std::string text = registry.Serialize();
  EXPECT_THAT(text,
              HasSubstr(R"(penstock_function_orders{kind="big",function="f",space="shop"} 5)"));
  EXPECT_THAT(text,
              HasSubstr(R"(penstock_function_orders{kind="small",function="f",space="shop"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(penstock_function_calls{function="f",space="shop"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(penstock_function_calls{function="g",space="shop"} 1)"));
}

TEST(FunctionMetricsTest, DropsAndCountsWhatIsInvalid) {
  metrics::Registry registry;
  FunctionMetrics metrics(registry, 10);
  metrics.Add(Function("f"), {{"Upper", 1, {}},
                              {"", 1, {}},
                              {"a-b", 1, {}},
                              {"a", -1, {}},
                              {"a", std::numeric_limits<double>::infinity(), {}},
                              {"a", 1, {{"function", "other"}}},
                              {"a", 1, {{"__name__", "x"}}},
                              {"a", 1, {{"x", std::string(129, 'v')}}},
                              {"a", 1, {{"x", "line\nbreak"}}}});
  EXPECT_EQ(metrics.series(), 0U);
  EXPECT_THAT(registry.Serialize(),
              HasSubstr(R"(penstock_executor_function_metrics_dropped_total{reason="invalid"} 9)"));
}

TEST(FunctionMetricsTest, KnownSeriesGoOnAtTheLimit) {
  metrics::Registry registry;
  FunctionMetrics metrics(registry, 2);
  for (int i = 0; i < 5; ++i) {
    metrics.Add(Function("f"), {{"hits", 1, {{"user", std::to_string(i)}}}});
  }
  metrics.Add(Function("f"), {{"hits", 1, {{"user", "0"}}}});
  EXPECT_EQ(metrics.series(), 2U);
  const std::string text = registry.Serialize();
  EXPECT_THAT(text, HasSubstr(R"({user="0",function="f",space="shop"} 2)"));
  EXPECT_THAT(text, Not(HasSubstr(R"(user="2")")));
  EXPECT_THAT(
      text,
      HasSubstr(R"(penstock_executor_function_metrics_dropped_total{reason="series_limit"} 3)"));
}

}  // namespace
}  // namespace penstock::executor
