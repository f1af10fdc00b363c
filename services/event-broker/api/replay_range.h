// Which part of the log a replay is about.
#pragma once

#include <penstock/events/v1/catalog.pb.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Both ends inclusive, both in the log.
struct ReplayRange {
  Sequence from = kNoSequence;
  Sequence to = kNoSequence;
};

// What can be said without the log. Errors name the field.
absl::Status CheckReplayRequest(const penstock::events::v1::ReplaySubscriptionRequest& request,
                                WallTime now);

// The range that a checked request means. Refused, naming the field, when it is empty, begins below
// what the log keeps, or ends above its head. May block: times are looked up in the log.
absl::StatusOr<ReplayRange> ResolveReplayRange(
    const penstock::events::v1::ReplaySubscriptionRequest& request, EventLog& log);

}  // namespace penstock::broker
