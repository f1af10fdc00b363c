#include "services/event-broker/app/log_metrics.h"

#include "services/event-broker/app/log_alarms.h"

namespace penstock::broker {

std::vector<metrics::Registration> RegisterLogMetrics(metrics::Registry& registry,
                                                      const EventLog& log) {
  std::vector<metrics::Registration> all;
  const auto gauge = [&](const char* name, const char* help, auto read) {
    all.push_back(registry.GaugeCallback(
        name, help, [&log, read] { return static_cast<double>(read(log.Health())); }));
  };
  const auto counter = [&](const char* name, const char* help, auto read) {
    all.push_back(registry.CounterCallback(
        name, help, [&log, read] { return static_cast<double>(read(log.Health())); }));
  };
  using Health = LogHealth;
  gauge("penstock_broker_log_pin_used_ratio",
        "What the reader that is furthest behind holds back, of what the log may keep for it.",
        [](const Health& h) { return h.pins.worst.has_value() ? h.pins.worst->share : 0; });
  gauge("penstock_broker_log_pin_alarm_percent", "0, or the 50, 80 or 100 percent it has reached.",
        [](const Health& h) { return PinAlarmPercent(h.pins); });
  gauge("penstock_broker_log_pinned_bytes", "Bytes of the log that it holds back.",
        [](const Health& h) { return h.pins.worst.has_value() ? h.pins.worst->bytes : 0; });
  gauge("penstock_broker_log_refused_spaces", "Spaces whose publishes are refused for it.",
        [](const Health& h) { return h.pins.refused_spaces.size(); });
  counter("penstock_broker_log_refused_events_total", "Events refused for it.",
          [](const Health& h) { return h.pins.refused_events; });
  counter("penstock_broker_log_skipped_ranges_total",
          "Ranges that were removed though a reader still needed them.",
          [](const Health& h) { return h.pins.skipped_ranges; });
  counter("penstock_broker_scrub_bytes_total", "Bytes of sealed segments read again.",
          [](const Health& h) { return h.scrub.bytes_read; });
  counter("penstock_broker_scrub_segments_total", "Sealed segments verified.",
          [](const Health& h) { return h.scrub.segments_verified; });
  counter("penstock_broker_scrub_passes_total", "Passes over all sealed segments.",
          [](const Health& h) { return h.scrub.passes; });
  counter("penstock_broker_scrub_damaged_ranges_total", "Damaged ranges that this has found.",
          [](const Health& h) { return h.scrub.damaged_ranges; });
  counter("penstock_broker_scrub_damaged_footers_total", "Damaged footers that this has found.",
          [](const Health& h) { return h.scrub.damaged_footers; });
  counter("penstock_broker_scrub_read_errors_total", "Segments that could not be read.",
          [](const Health& h) { return h.scrub.read_errors; });
  return all;
}

}  // namespace penstock::broker
