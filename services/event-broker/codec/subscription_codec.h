// Subscriptions between their message and the domain.
#pragma once

#include <penstock/events/v1/subscription.pb.h>

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

penstock::events::v1::Subscription ToProto(const Subscription& subscription);

// The fields that users set. Shape only: exactly one field in each filter, durations in range,
// defaults for what is unset, the function as an id in `space`. Output-only fields are ignored.
absl::StatusOr<Subscription> FromProto(const penstock::events::v1::Subscription& message,
                                       const std::string& space);

// Copies the fields named by `paths` ("event_type", "retry.max_attempts", …; "*" is all) from
// `from`. Unknown and output-only paths are INVALID_ARGUMENT. Afterwards `target` is not checked
// yet.
absl::Status ApplyMask(const std::set<std::string>& paths,
                       const penstock::events::v1::Subscription& from,
                       penstock::events::v1::Subscription& target);

// Everything, for the store: FromStored(ToStored(s)) is s.
std::string ToStored(const Subscription& subscription);
absl::StatusOr<Subscription> FromStored(std::string_view bytes);

}  // namespace penstock::broker
