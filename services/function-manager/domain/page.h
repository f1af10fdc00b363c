// Pages of lists: their size, and tokens that say where the next one starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::functions {

// 0 is the default (50); more than 1000 is 1000; a negative size is INVALID_ARGUMENT.
absl::StatusOr<std::size_t> CheckPageSize(std::int32_t page_size);

// A token for the list that `query` describes, continuing after `last`. Opaque: hexadecimal.
std::string MakePageToken(std::string_view query, std::string_view last);

// What `last` was; empty for an empty token. INVALID_ARGUMENT when the token was not made for this
// query.
absl::StatusOr<std::string> ParsePageToken(std::string_view query, std::string_view token);

}  // namespace penstock::functions
