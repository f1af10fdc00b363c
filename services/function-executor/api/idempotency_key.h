// The key of calls that are made once.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/base/status.h"

namespace penstock::executor {

inline constexpr std::size_t kIdempotencyKeyBytesMax = 255;

// As a header it is a string of structured fields (RFC 8941), in quotes; many clients leave them
// out. INVALID_ARGUMENT for one that is too long.
inline absl::StatusOr<std::string> ReadIdempotencyKey(std::string_view text) {
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) {
    text = text.substr(1, text.size() - 2);
  }
  if (text.size() > kIdempotencyKeyBytesMax) {
    return FieldError("idempotency_key", fmt::format("has {} bytes; expected at most {}",
                                                     text.size(), kIdempotencyKeyBytesMax));
  }
  return std::string(text);
}

}  // namespace penstock::executor
