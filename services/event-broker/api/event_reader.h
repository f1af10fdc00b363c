// Reads of stored events, for ReadEvents and GetEvent. Everything here may block.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// One page of a list. Damaged ranges are named in the answer, not an error.
absl::StatusOr<penstock::events::v1::ReadEventsResponse> ReadEvents(
    EventLog& log, const PublishRules& rules,
    const penstock::events::v1::ReadEventsRequest& request);

// One event by id, or by "sequence:<n>"; as the log has it.
struct EventReference {
  std::string space;  // Of the request; empty for the default.
  std::string id;
  std::string source;  // Where the id alone is not unique; may be empty.
};
absl::StatusOr<EventRecord> FindEvent(EventLog& log, const PublishRules& rules,
                                      const EventReference& reference);

// The same as a message.
absl::StatusOr<penstock::events::v1::StoredEvent> GetEvent(
    EventLog& log, const PublishRules& rules, const penstock::events::v1::GetEventRequest& request);

}  // namespace penstock::broker
