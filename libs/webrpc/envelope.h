// Messages with their prefix: a byte of flags and four of length, in Connect's streams and
// gRPC-Web.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::webrpc {

inline constexpr std::size_t kPrefixBytes = 5;

// The message is compressed.
inline constexpr std::uint8_t kCompressed = 0x01;
// Connect: the end of a stream of answers.
inline constexpr std::uint8_t kEndStream = 0x02;
// gRPC-Web: trailers in place of a message.
inline constexpr std::uint8_t kTrailers = 0x80;

// Appends a message with its prefix.
void AppendEnvelope(std::uint8_t flags, std::string_view message, std::string* out);

struct Envelope {
  bool is_compressed = false;
  // A part of the body.
  std::string_view message;
};

// The one message of a request's body. INVALID_ARGUMENT for a body that ends inside a message and
// for flags that no request has; UNIMPLEMENTED when there is no message or more than one, as both
// protocols have it.
absl::StatusOr<Envelope> OnlyEnvelope(std::string_view body);

}  // namespace penstock::webrpc
