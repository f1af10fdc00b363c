// Query parameters into a request message.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// Field names in one parameter; proto nesting has no other bound, as types may contain themselves.
inline constexpr std::size_t kMaxFieldDepth = 32;

// Sets the fields that `query` names, as BuildRequest says. INVALID_ARGUMENT naming the parameter:
// unknown, given twice, set by the path or the body already, or with a bad value.
absl::Status ReadQuery(const Route& route, std::string_view query,
                       google::protobuf::Message* request);

}  // namespace penstock::transcode
