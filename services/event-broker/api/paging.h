// Page sizes and tokens of lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::broker {

// 0 is the default (50); more than 1000 is 1000; a negative size is INVALID_ARGUMENT.
absl::StatusOr<std::size_t> CheckPageSize(std::int32_t page_size);

// A token for the list that `query` describes, going on at `position`. Opaque: hexadecimal.
std::string MakePageToken(std::string_view query, std::string_view position);

// What `position` was; empty for an empty token. INVALID_ARGUMENT when it was not made for this
// query.
absl::StatusOr<std::string> ParsePageToken(std::string_view query, std::string_view token);

}  // namespace penstock::broker
