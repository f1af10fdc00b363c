#include "services/function-executor/app/function_metrics.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

namespace penstock::executor {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kLabelsMax = 8;
constexpr std::size_t kValueMax = 128;
constexpr char kHelp[] = "Sum of what the function emitted.";

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Printable ASCII needs no look at encodings.
bool IsValue(std::string_view value) {
  return value.size() <= kValueMax &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

bool IsValid(const FunctionMetric& metric) {
  if (!IsName(metric.name) || !std::isfinite(metric.value) || metric.value < 0) return false;
  if (metric.labels.size() > kLabelsMax) return false;
  return std::all_of(metric.labels.begin(), metric.labels.end(), [](const auto& label) {
    return IsName(label.first) && label.first != "space" && label.first != "function" &&
           IsValue(label.second);
  });
}

}  // namespace

FunctionMetrics::FunctionMetrics(metrics::Registry& registry, std::size_t series_max)
    : registry_(registry),
      series_max_(series_max),
      invalid_(registry
                   .CounterFamily("penstock_executor_function_metrics_dropped_total",
                                  "Measurements of functions that were dropped.", {"reason"})
                   .With({"invalid"})),
      beyond_limit_(registry
                        .CounterFamily("penstock_executor_function_metrics_dropped_total",
                                       "Measurements of functions that were dropped.", {"reason"})
                        .With({"series_limit"})) {}

void FunctionMetrics::Add(const FunctionSpec& function,
                          const std::vector<FunctionMetric>& metrics) {
  for (const FunctionMetric& metric : metrics) AddOne(function, metric);
}

void FunctionMetrics::AddOne(const FunctionSpec& function, const FunctionMetric& metric) {
  if (!IsValid(metric)) return invalid_.Increment();
  metrics::Labels labels(metric.labels.begin(), metric.labels.end());
  labels.emplace_back("function", function.id);
  labels.emplace_back("space", function.space);
  const std::string name = "penstock_function_" + metric.name;
  const std::lock_guard lock(mutex_);
  const auto found = series_.find({name, labels});
  if (found != series_.end()) {
    found->second->sum.fetch_add(metric.value, std::memory_order_relaxed);
    return;
  }
  if (series_.size() >= series_max_) return beyond_limit_.Increment();
  auto series = std::make_unique<Series>();
  series->sum = metric.value;
  series->registration = registry_.CounterCallback(
      name, kHelp, [sum = &series->sum] { return sum->load(std::memory_order_relaxed); }, labels);
  series_.emplace(Key{name, std::move(labels)}, std::move(series));
}

std::size_t FunctionMetrics::series() const {
  const std::lock_guard lock(mutex_);
  return series_.size();
}

}  // namespace penstock::executor
