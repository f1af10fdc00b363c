// Counts and times calls of functions.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "libs/metrics/metrics.h"
#include "services/function-executor/app/function_metrics.h"
#include "services/function-executor/ports/call_observer.h"

namespace penstock::executor {

// Thread-safe. `registry` must outlive it.
class CallMetrics final : public CallObserver {
 public:
  // At most `function_series_max` series of what functions emit.
  CallMetrics(metrics::Registry& registry, std::size_t function_series_max);

  void OnStart() override;
  void OnEnd(TriggerKind trigger, CallResult result, Microseconds duration) override;
  void OnMetrics(const FunctionSpec& function, const std::vector<FunctionMetric>& metrics) override;
  void OnRefused(TriggerKind trigger) override;
  void OnQueued(int by) override;

 private:
  static constexpr std::size_t kTriggers = 3;
  static constexpr std::size_t kResults = 5;

  // By trigger and result: looked up once, as a call must not take a lock for it.
  std::array<std::array<metrics::Counter*, kResults>, kTriggers> calls_{};
  std::array<metrics::Histogram*, kTriggers> durations_{};
  metrics::Gauge& in_flight_;
  metrics::Gauge& queued_;
  FunctionMetrics functions_;
};

}  // namespace penstock::executor
