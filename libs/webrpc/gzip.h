// Compressed messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::webrpc {

// What a gzip file (RFC 1952) holds. INVALID_ARGUMENT when it is none or is cut off;
// RESOURCE_EXHAUSTED when the content has more than `bytes_max` bytes, which is found before they
// are there.
absl::StatusOr<std::string> Gunzip(std::string_view bytes, std::size_t bytes_max);

}  // namespace penstock::webrpc
