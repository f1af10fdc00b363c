#include "services/function-executor/app/call_metrics.h"

#include <string_view>

namespace penstock::executor {
namespace {

constexpr std::array<std::string_view, 3> kTriggerNames = {"call", "event", "http"};
constexpr std::array<std::string_view, 5> kResultNames = {
    "succeeded", "input_error", "function_error", "system_error", "refused"};

}  // namespace

CallMetrics::CallMetrics(metrics::Registry& registry, std::size_t function_series_max)
    : in_flight_(
          registry.Gauge("penstock_executor_calls_in_flight", "Calls that a driver works on.")),
      queued_(registry.Gauge("penstock_executor_calls_queued",
                             "Calls that wait for their function's concurrency limit.")),
      functions_(registry, function_series_max) {
  auto& calls = registry.CounterFamily("penstock_executor_calls_total", "Calls of functions.",
                                       {"trigger", "result"});
  auto& durations =
      registry.HistogramFamily("penstock_executor_call_duration_seconds",
                               "Time from the start of a call to its answer.", {"trigger"});
  for (std::size_t trigger = 0; trigger < kTriggers; ++trigger) {
    durations_[trigger] = &durations.With({kTriggerNames[trigger]});
    for (std::size_t result = 0; result < kResults; ++result) {
      calls_[trigger][result] = &calls.With({kTriggerNames[trigger], kResultNames[result]});
    }
  }
}

void CallMetrics::OnStart() { in_flight_.Add(1); }

void CallMetrics::OnEnd(TriggerKind trigger, CallResult result, Microseconds duration) {
  in_flight_.Add(-1);
  const auto index = static_cast<std::size_t>(trigger);
  calls_[index][static_cast<std::size_t>(result)]->Increment();
  durations_[index]->Observe(static_cast<double>(duration.count()) / 1e6);
}

void CallMetrics::OnMetrics(const FunctionSpec& function,
                            const std::vector<FunctionMetric>& metrics) {
  functions_.Add(function, metrics);
}

void CallMetrics::OnRefused(TriggerKind trigger) {
  calls_[static_cast<std::size_t>(trigger)][static_cast<std::size_t>(CallResult::kRefused)]
      ->Increment();
}

void CallMetrics::OnQueued(int by) { queued_.Add(by); }

}  // namespace penstock::executor
