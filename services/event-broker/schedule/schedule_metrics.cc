#include "services/event-broker/schedule/schedule_metrics.h"

namespace penstock::broker {

ScheduleMetrics::ScheduleMetrics(metrics::Registry& registry)
    : waiting(
          registry.Gauge("penstock_broker_scheduled_events", "Events that are published later.")),
      published(registry.Counter("penstock_broker_scheduled_published_total",
                                 "Scheduled events that were published.")),
      cancelled(registry.Counter("penstock_broker_scheduled_cancelled_total",
                                 "Scheduled events that were taken back.")),
      failures(registry.Counter("penstock_broker_scheduled_failures_total",
                                "Times that scheduled events could not be published yet.")),
      lateness(registry.Histogram("penstock_broker_scheduled_lateness_seconds",
                                  "From the due time of a scheduled event until it was stored in "
                                  "the log.")) {}

}  // namespace penstock::broker
