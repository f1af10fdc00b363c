// What the scheduler tells operators.
#pragma once

#include "libs/metrics/metrics.h"

namespace penstock::broker {

// `registry` must outlive it.
struct ScheduleMetrics {
  explicit ScheduleMetrics(metrics::Registry& registry);

  metrics::Gauge& waiting;
  metrics::Counter& published;
  metrics::Counter& cancelled;
  metrics::Counter& failures;
  metrics::Histogram& lateness;
};

}  // namespace penstock::broker
