#include "libs/metrics/metrics.h"

#include <algorithm>
#include <cmath>

#include "fmt/format.h"

namespace penstock::metrics {
namespace {

[[noreturn]] void Die(const std::string& what) {
  fmt::print(stderr, "metrics: {}\n", what);
  std::abort();
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    if (!std::isfinite(bounds_[i]) || (i > 0 && bounds_[i] <= bounds_[i - 1])) {
      Die("the bounds of a histogram must be finite and strictly rising");
    }
  }
}

void Histogram::Observe(double value) {
  // A value that is not a number belongs to no bucket, and would spoil the sum for good.
  if (std::isnan(value)) return;
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::Count() const {
  std::uint64_t count = 0;
  for (const auto& bucket : counts_) count += bucket.load(std::memory_order_relaxed);
  return count;
}

std::vector<double> LatencyBounds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

std::vector<double> SizeBounds() {
  std::vector<double> bounds;
  for (double bound = 256; bound <= 16.0 * 1024 * 1024; bound *= 4) bounds.push_back(bound);
  return bounds;
}

template <typename Metric>
Metric& Family<Metric>::With(std::vector<std::string> values) {
  if (values.size() != label_names_.size()) {
    Die(fmt::format("a family with {} labels was given {} values", label_names_.size(),
                    values.size()));
  }
  const std::lock_guard lock(mutex_);
  auto found = children_.find(values);
  if (found == children_.end() && children_.size() >= children_max_) {
    values.assign(label_names_.size(), "other");
    found = children_.find(values);
  }
  if (found == children_.end()) found = children_.emplace(std::move(values), make_()).first;
  return *found->second;
}

template <typename Metric>
void Family<Metric>::Remove(const std::vector<std::string>& values) {
  const std::lock_guard lock(mutex_);
  children_.erase(values);
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

}  // namespace penstock::metrics
