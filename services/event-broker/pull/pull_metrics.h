// What the hub tells operators.
#pragma once

#include <vector>

#include "libs/metrics/metrics.h"
#include "services/event-broker/pull/pull_hub.h"

namespace penstock::broker {

// Dropping the result removes the metrics. What is given must outlive it.
std::vector<metrics::Registration> RegisterPullMetrics(metrics::Registry& registry,
                                                       const PullHub& hub);

}  // namespace penstock::broker
