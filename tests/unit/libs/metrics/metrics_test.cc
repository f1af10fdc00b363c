#include "libs/metrics/metrics.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

// The value of the sample whose line begins with `sample`, or -1.
double ValueOf(const std::string& text, const std::string& sample) {
  const std::size_t at = ("\n" + text).find("\n" + sample + " ");
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(at + sample.size() + 1));
}

TEST(RegistryTest, WritesCountersAndGauges) {
  Registry registry;
  registry.Counter("penstock_test_events_total", "Events.").Increment(3);
  registry.Gauge("penstock_test_depth_count", "Depth.").Set(2.5);
  registry.Gauge("penstock_test_depth_count", "Depth.").Add(-1);
  const std::string text = registry.Serialize();
  EXPECT_THAT(text, HasSubstr("# HELP penstock_test_events_total Events.\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE penstock_test_events_total counter\n"));
  EXPECT_EQ(ValueOf(text, "penstock_test_events_total"), 3);
  EXPECT_THAT(text, HasSubstr("# TYPE penstock_test_depth_count gauge\n"));
  EXPECT_EQ(ValueOf(text, "penstock_test_depth_count"), 1.5);
}

TEST(RegistryTest, TheSameNameGivesTheSameMetric) {
  Registry registry;
  EXPECT_EQ(&registry.Counter("penstock_test_total", "T."),
            &registry.Counter("penstock_test_total", "T."));
}

TEST(RegistryTest, HistogramBucketsAreInclusiveAndCumulative) {
  Registry registry;
  Histogram& histogram = registry.Histogram("penstock_test_seconds", "S.", {1, 2});
  for (const double value : {0.5, 1.0, 1.5, 2.5}) histogram.Observe(value);
  histogram.Observe(std::numeric_limits<double>::quiet_NaN());
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_bucket{le=\"1\"}"), 2);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_bucket{le=\"2\"}"), 3);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_bucket{le=\"+Inf\"}"), 4);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_count"), 4);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_sum"), 5.5);
}

TEST(FamilyTest, CountsByLabelAndEscapesValues) {
  Registry registry;
  auto& family = registry.CounterFamily("penstock_test_total", "T.", {"result", "kind"});
  family.With({"ok", "a\"\n\\"}).Increment();
  family.With({"ok", "a\"\n\\"}).Increment();
  family.With({"failed", "b"}).Increment();
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, R"(penstock_test_total{result="ok",kind="a\"\n\\"})"), 2);
  EXPECT_EQ(ValueOf(text, R"(penstock_test_total{result="failed",kind="b"})"), 1);
}

TEST(FamilyTest, BoundsItsChildren) {
  Registry registry;
  auto& family = registry.CounterFamily("penstock_test_total", "T.", {"id"}, 3);
  for (int i = 0; i < 1000; ++i) family.With({std::to_string(i)}).Increment();
  family.With({"1"}).Increment();
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, "penstock_test_total{id=\"1\"}"), 2);
  EXPECT_EQ(ValueOf(text, "penstock_test_total{id=\"other\"}"), 997);
  EXPECT_THAT(text, Not(HasSubstr("id=\"3\"")));
}

TEST(RegistryTest, CallbacksAreReadAtEachScrapeAndGoWithTheirRegistration) {
  Registry registry;
  double depth = 1;
  {
    const Registration one = registry.GaugeCallback("penstock_test_depth_count", "D.",
                                                    [&] { return depth; }, {{"queue", "one"}});
    const Registration two = registry.GaugeCallback("penstock_test_depth_count", "D.",
                                                    [] { return 7.0; }, {{"queue", "two"}});
    EXPECT_EQ(ValueOf(registry.Serialize(), "penstock_test_depth_count{queue=\"one\"}"), 1);
    depth = 2;
    const std::string text = registry.Serialize();
    EXPECT_EQ(ValueOf(text, "penstock_test_depth_count{queue=\"one\"}"), 2);
    EXPECT_EQ(ValueOf(text, "penstock_test_depth_count{queue=\"two\"}"), 7);
  }
  EXPECT_THAT(registry.Serialize(), Not(HasSubstr("penstock_test_depth_count")));
}

TEST(RegistryTest, ARegistrationCanBeMovedAndRemovedEarly) {
  Registry registry;
  Registration outer;
  {
    Registration inner = registry.CounterCallback("penstock_test_total", "T.", [] { return 5.0; });
    outer = std::move(inner);
  }
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, "penstock_test_total"), 5);
  EXPECT_THAT(text, HasSubstr("# TYPE penstock_test_total counter"));
  outer.Reset();
  EXPECT_EQ(registry.Serialize(), "");
}

TEST(RegistryTest, CountsExactlyWhileItIsScraped) {
  Registry registry;
  auto& counters = registry.CounterFamily("penstock_test_total", "T.", {"id"});
  auto& histogram = registry.Histogram("penstock_test_seconds", "S.", {1});
  std::atomic<bool> stop{false};
  std::thread scraper([&] {
    while (!stop) registry.Serialize();
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) {
        counters.With({std::to_string(n % 10)}).Increment();
        histogram.Observe(0.5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  scraper.join();
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, "penstock_test_total{id=\"3\"}"), 2000);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_count"), 20000);
  EXPECT_EQ(ValueOf(text, "penstock_test_seconds_sum"), 10000);
}

TEST(RegistryDeathTest, RefusesWhatOnlyAProgrammerCanGetWrong) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  Registry registry;
  registry.Counter("penstock_test_total", "T.");
  EXPECT_DEATH(registry.Gauge("penstock_test_total", "T."), "another type");
  EXPECT_DEATH(registry.Counter("penstock_test_total", "U."), "another help");
  EXPECT_DEATH(registry.CounterFamily("penstock_test_total", "T.", {"x"}), "other labels");
  EXPECT_DEATH(registry.Counter("penstock test", "T."), "not a metric name");
  EXPECT_DEATH(registry.CounterFamily("penstock_x_total", "T.", {"a-b"}), "label name");
  EXPECT_DEATH(registry.Histogram("penstock_x_seconds", "T.", {2, 1}), "strictly rising");
}

TEST(ProcessMetricsTest, ReportsTheProcessOnceForSeveralServices) {
  Registry registry;
  RegisterProcessMetrics(registry, "gateway", "1.2.3");
  RegisterProcessMetrics(registry, "event-broker", "1.2.3");
  const std::string text = registry.Serialize();
  EXPECT_EQ(ValueOf(text, R"(penstock_build_info{service="gateway",version="1.2.3"})"), 1);
  EXPECT_EQ(ValueOf(text, R"(penstock_build_info{service="event-broker",version="1.2.3"})"), 1);
  EXPECT_GT(ValueOf(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GE(ValueOf(text, "process_open_fds"), 3);
  EXPECT_GE(ValueOf(text, "process_max_fds"), ValueOf(text, "process_open_fds"));
  EXPECT_GE(ValueOf(text, "process_cpu_seconds_total"), 0);
  const double now = static_cast<double>(time(nullptr));
  EXPECT_NEAR(ValueOf(text, "process_start_time_seconds"), now, 120);
}

TEST(BoundsTest, RiseStrictly) {
  for (const auto& bounds : {LatencyBounds(), SizeBounds()}) {
    for (std::size_t i = 1; i < bounds.size(); ++i) EXPECT_GT(bounds[i], bounds[i - 1]);
  }
  EXPECT_EQ(SizeBounds().front(), 256);
  EXPECT_EQ(SizeBounds().back(), 16.0 * 1024 * 1024);
}

TEST(FamilyTest, WhatIsRemovedIsNoLongerServedAndMakesRoom) {
  Registry registry;
  auto& family = registry.GaugeFamily("penstock_test_depth", "Depth.", {"name"}, 1);
  family.With({"a"}).Set(1);
  family.Remove({"a"});
  family.Remove({"never there"});
  family.With({"b"}).Set(2);
  const std::string text = registry.Serialize();
  EXPECT_EQ(text.find("name=\"a\""), std::string::npos) << text;
  EXPECT_NE(text.find("name=\"b\"} 2"), std::string::npos) << text;
}

}  // namespace
}  // namespace penstock::metrics
