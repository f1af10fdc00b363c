// Filters between their message and the domain.
#pragma once

#include <penstock/events/v1/subscription.pb.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/filter/filter.h"

namespace penstock::broker {

penstock::events::v1::Filter ToProto(const Filter& filter);

// Exactly one field in each; the rest is checked by the domain. Errors are fields under
// "filters[i]".
absl::StatusOr<std::vector<Filter>> FromProto(
    const google::protobuf::RepeatedPtrField<penstock::events::v1::Filter>& filters);

}  // namespace penstock::broker
