#include "services/event-broker/app/broker_metrics.h"

namespace penstock::broker {

std::vector<metrics::Registration> RegisterBrokerMetrics(metrics::Registry& registry,
                                                         const EventLog& log,
                                                         const DeliveryRunner& delivery) {
  std::vector<metrics::Registration> all;
  const auto gauge = [&](const char* name, const char* help, auto read) {
    all.push_back(
        registry.GaugeCallback(name, help, [read] { return static_cast<double>(read()); }));
  };
  const auto counter = [&](const char* name, const char* help, const auto& value) {
    all.push_back(registry.CounterCallback(name, help,
                                           [&value] { return static_cast<double>(value.load()); }));
  };
  gauge("penstock_broker_log_head_sequence", "The newest durable sequence.",
        [&log] { return log.head(); });
  gauge("penstock_broker_log_horizon_sequence", "The oldest sequence that is kept.",
        [&log] { return log.horizon(); });
  gauge("penstock_broker_log_stored_bytes", "Bytes of the log's files.",
        [&log] { return log.Health().stored_bytes; });
  gauge("penstock_broker_log_damaged_ranges", "Ranges of the log that cannot be read.",
        [&log] { return log.Health().lost.size(); });
  gauge("penstock_broker_log_writable", "1 while events can be appended.",
        [&log] { return log.Health().writable ? 1 : 0; });
  gauge("penstock_broker_append_queue_events", "Events that wait to be written.",
        [&log] { return log.Health().append_queue_events; });
  gauge("penstock_broker_dedup_window_seconds", "The deduplication window that is really kept.",
        [&log] { return log.Health().dedup_window_seconds; });
  gauge("penstock_broker_dedup_entries", "Event ids kept for deduplication.",
        [&log] { return log.Health().dedup_entries; });
  const DeliveryStats& stats = delivery.stats();
  gauge("penstock_broker_matched_through_sequence", "Everything up to here was matched.",
        [&stats] { return stats.matched_through.load(); });
  gauge("penstock_broker_deliveries_in_flight", "Deliveries at executors.",
        [&stats] { return stats.in_flight.load(); });
  gauge("penstock_broker_delivery_capacity", "Deliveries that executors take at the same time.",
        [&stats] { return stats.capacity.load(); });
  counter("penstock_broker_deliveries_sent_total", "Attempts sent.", stats.sent);
  counter("penstock_broker_deliveries_succeeded_total", "Deliveries acknowledged.",
          stats.succeeded);
  counter("penstock_broker_deliveries_retried_total", "Failed attempts that are tried again.",
          stats.retried);
  counter("penstock_broker_dead_letters_total", "Deliveries that became dead letters.", stats.dead);
  counter("penstock_broker_deliveries_sunk_total", "Deliveries to dead-letter sinks.", stats.sunk);
  counter("penstock_broker_deliveries_expired_total",
          "Deliveries given up because their event was too old.", stats.expired);
  counter("penstock_broker_breakers_opened_total", "Times that the breaker of a function opened.",
          stats.breakers_opened);
  counter("penstock_broker_replies_published_total", "Answers that were published as events.",
          stats.replies);
  counter("penstock_broker_catch_up_passes_total", "Passes over older parts of the log.",
          stats.scan_passes);
  counter("penstock_broker_catch_up_records_total", "Records looked at in them.",
          stats.scan_records);
  counter("penstock_broker_skipped_ranges_total",
          "Ranges that left the log before a subscription came to them.", stats.skipped_ranges);
  counter("penstock_broker_deliveries_rejected_total", "Attempts that were not started.",
          stats.rejected);
  counter("penstock_broker_deliveries_lost_total", "Attempts whose executor was lost.", stats.lost);
  counter("penstock_broker_results_unknown_total", "Results for attempts that are not in flight.",
          stats.unknown_results);
  counter("penstock_broker_state_commit_failures_total", "Writes of delivery state that failed.",
          stats.commit_failures);
  return all;
}

}  // namespace penstock::broker
