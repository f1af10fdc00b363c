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
// known enum values, defaults for what is unset, functions as ids in `space`. Output-only fields
// are ignored.
absl::StatusOr<Subscription> FromProto(const penstock::events::v1::Subscription& message,
                                       const std::string& space);

// The paths of the fields that are set and that a client may change: what an update without a mask
// is about.
std::set<std::string> PathsSet(const penstock::events::v1::Subscription& message);

// Copies the fields named by `paths` ("event_type", "retry", …; "*" is all) from `from`. Unknown,
// output-only and partial paths are INVALID_ARGUMENT. Afterwards `target` is not checked yet.
// `start` stays as it is under "*" when `from` has none.
absl::Status ApplyMask(const std::set<std::string>& paths,
                       const penstock::events::v1::Subscription& from,
                       penstock::events::v1::Subscription& target);

// Changes the fields of `current` that `paths` name to those of `given`. Shape is checked as by
// FromProto; `start` must stay what it is.
absl::Status ApplyUpdate(const std::set<std::string>& paths,
                         const penstock::events::v1::Subscription& given, Subscription& current);

// Everything, for the store: FromStored(ToStored(s)) is s.
std::string ToStored(const Subscription& subscription);
absl::StatusOr<Subscription> FromStored(std::string_view bytes);

}  // namespace penstock::broker
