// Checks an event against CloudEvents 1.0.2 and Penstock's limits.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "libs/cloudevents/event.h"

namespace penstock::cloudevents {

inline constexpr std::size_t kMaxIdLength = 1024;
inline constexpr std::size_t kMaxSourceLength = 2048;
inline constexpr std::size_t kMaxTypeLength = 256;
inline constexpr std::size_t kMaxAttributeNameLength = 64;

struct Limits {
  // Bytes of all attribute names and values together.
  std::size_t max_attribute_bytes = 64 * 1024;
  // Bytes of the payload.
  std::size_t max_data_bytes = 1024 * 1024;
};

// INVALID_ARGUMENT with a violation that names the attribute (`source`, `time`, `data`, …):
// required ones missing, empty or too long; a specversion other than "1.0"; a source that is no URI
// reference; a name that is not 1 to 64 of a-z and 0-9; a value of the wrong type, with control
// characters or invalid UTF-8; too many bytes. Thread-safe.
absl::Status Validate(const CloudEvent& event, const Limits& limits = {});

// Whether `text` is a URI reference of RFC 3986 (absolute or relative), respectively a URI with a
// scheme.
bool IsUriReference(std::string_view text);
bool IsUri(std::string_view text);

}  // namespace penstock::cloudevents
