// What the broker tells operators.
#pragma once

#include <vector>

#include "libs/metrics/metrics.h"
#include "services/event-broker/delivery/delivery_runner.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Registers the broker's metrics; dropping the result removes them. What is given must outlive it.
std::vector<metrics::Registration> RegisterBrokerMetrics(metrics::Registry& registry,
                                                         const EventLog& log,
                                                         const DeliveryRunner& delivery);

}  // namespace penstock::broker
