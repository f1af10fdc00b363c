// The log's pins and scrub as metrics.
#pragma once

#include <vector>

#include "libs/metrics/metrics.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Registers them; dropping the result removes them. What is given must outlive it.
std::vector<metrics::Registration> RegisterLogMetrics(metrics::Registry& registry,
                                                      const EventLog& log);

}  // namespace penstock::broker
