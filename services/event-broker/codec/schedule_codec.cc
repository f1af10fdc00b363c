#include "services/event-broker/codec/schedule_codec.h"

#include <fmt/format.h>

#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {

absl::StatusOr<penstock::events::v1::ScheduledEvent> ToProto(const ScheduledEvent& event) {
  penstock::events::v1::ScheduledEvent message;
  message.set_name(fmt::format("spaces/{}/scheduledEvents/{}", event.space, event.key));
  SetTimestamp(event.due, message.mutable_due_time());
  SetTimestamp(event.create_time, message.mutable_create_time());
  if (!message.mutable_event()->ParseFromString(event.body)) {
    return absl::DataLossError(fmt::format("{} cannot be read", message.name()));
  }
  return message;
}

}  // namespace penstock::broker
