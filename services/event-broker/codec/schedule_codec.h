// Events that are published later, as clients see them.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/event_schedule.h"

namespace penstock::broker {

// Its key is the id in its name. DATA_LOSS when the body cannot be read.
absl::StatusOr<penstock::events::v1::ScheduledEvent> ToProto(const ScheduledEvent& event);

}  // namespace penstock::broker
