// From a published event to what the log appends, and back to a receipt.
#pragma once

#include <io/cloudevents/v1/cloudevents.pb.h>
#include <penstock/events/v1/event.pb.h>

#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Which spaces there are, how large events may be, and how long an event is known again. Immutable.
struct PublishRules {
  std::set<std::string> spaces_allowed;  // Empty: every id is a space.
  std::size_t data_bytes_max = 1u << 20;
  Microseconds dedup_window{300'000'000};

  // Fills in the default space; INVALID_ARGUMENT or NOT_FOUND for one that cannot be.
  absl::StatusOr<std::string> ResolveSpace(const std::string& space) const;
};

// An event that can be stored.
struct CheckedEvent {
  AppendRequest append;
  std::optional<WallTime> due;  // Nothing: now.
};

// Checks the event and makes the record of it; an empty id gets a uuid. The event is used up, but
// for its id.
absl::StatusOr<CheckedEvent> CheckEvent(const PublishRules& rules, const std::string& space,
                                        WallTime now, io::cloudevents::v1::CloudEvent& event);

// The answer to one event. `id` is the event's, also where it was made here.
penstock::events::v1::PublishReceipt MakeReceipt(std::string id, const AppendResult& result,
                                                 Durability durability);
// For an event that is published later; `duplicate` when it, or another of its source and id, was
// scheduled before.
penstock::events::v1::PublishReceipt MakeScheduledReceipt(std::string id, WallTime due,
                                                          bool duplicate, bool content_differs);
penstock::events::v1::PublishReceipt MakeRefusal(std::string id, const absl::Status& status);

}  // namespace penstock::broker
