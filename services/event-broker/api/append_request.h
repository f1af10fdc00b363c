// From a published event to what the log appends, and back to a receipt.
#pragma once

#include <io/cloudevents/v1/cloudevents.pb.h>
#include <penstock/events/v1/event.pb.h>

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Which spaces there are, and how large events may be. Immutable.
struct PublishRules {
  std::set<std::string> spaces_allowed;  // Empty: every id is a space.
  std::size_t data_bytes_max = 1u << 20;

  // Fills in the default space; INVALID_ARGUMENT or NOT_FOUND for one that cannot be.
  absl::StatusOr<std::string> ResolveSpace(const std::string& space) const;
};

// Checks the event and makes the record of it; an empty id gets a uuid. The event is used up.
absl::StatusOr<AppendRequest> MakeAppendRequest(const PublishRules& rules, const std::string& space,
                                                io::cloudevents::v1::CloudEvent& event);

// The answer to one event. `id` is the event's, also where it was made here.
penstock::events::v1::PublishReceipt MakeReceipt(std::string id, const AppendResult& result,
                                                 Durability durability);
penstock::events::v1::PublishReceipt MakeRefusal(std::string id, const absl::Status& status);

}  // namespace penstock::broker
