#include "services/event-broker/pull/pull_metrics.h"

#include <atomic>
#include <cstdint>

namespace penstock::broker {

std::vector<metrics::Registration> RegisterPullMetrics(metrics::Registry& registry,
                                                       const PullHub& hub) {
  const PullStats& stats = hub.stats();
  std::vector<metrics::Registration> all;
  const auto gauge = [&](const char* name, const char* help,
                         const std::atomic<std::int64_t>& value) {
    all.push_back(
        registry.GaugeCallback(name, help, [&value] { return static_cast<double>(value.load()); }));
  };
  const auto ended = [&](const char* outcome, const std::atomic<std::uint64_t>& value) {
    all.push_back(registry.CounterCallback(
        "penstock_broker_pull_ended_total", "Deliveries to pull consumers that ended, by how.",
        [&value] { return static_cast<double>(value.load()); }, {{"outcome", outcome}}));
  };
  gauge("penstock_broker_pull_consumers", "Consumers of pull subscriptions.", stats.consumers);
  gauge("penstock_broker_pull_out_events", "Events that are out with pull consumers.", stats.out);
  gauge("penstock_broker_pull_waiting_events", "Events that wait for a consumer's credit.",
        stats.waiting);
  ended("acknowledged", stats.acknowledged);
  ended("rejected", stats.rejected);
  ended("timed_out", stats.timed_out);
  ended("lost", stats.lost);
  all.push_back(registry.CounterCallback(
      "penstock_broker_pull_late_total",
      "Acknowledgements and the like of deliveries that were not out with their sender.",
      [&stats] { return static_cast<double>(stats.late.load()); }));
  return all;
}

}  // namespace penstock::broker
