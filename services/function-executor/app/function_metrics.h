// Counters that functions feed.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/metrics/metrics.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Adds what functions emit to `penstock_function_{name}{space, function, …}`. The number of series
// is bounded: what would make one too many, and what has a bad name, label or value, is dropped and
// counted. Thread-safe. `registry` must outlive it.
class FunctionMetrics {
 public:
  FunctionMetrics(metrics::Registry& registry, std::size_t series_max);

  void Add(const FunctionSpec& function, const std::vector<FunctionMetric>& metrics);

  std::size_t series() const;

 private:
  // The name, and the labels in order of their names.
  using Key = std::pair<std::string, metrics::Labels>;
  struct Series {
    std::atomic<double> sum{0};
    metrics::Registration registration;
  };

  void AddOne(const FunctionSpec& function, const FunctionMetric& metric);

  metrics::Registry& registry_;
  const std::size_t series_max_;
  metrics::Counter& invalid_;
  metrics::Counter& beyond_limit_;
  mutable std::mutex mutex_;
  std::map<Key, std::unique_ptr<Series>> series_;
};

}  // namespace penstock::executor
