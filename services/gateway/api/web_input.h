// The message and the time that a web client's request carries.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/http/message.h"
#include "libs/webrpc/content_type.h"

namespace penstock::gateway {

// The message in the body, without prefix, base64 and compression, but not parsed. UNIMPLEMENTED
// naming the encodings that are supported; RESOURCE_EXHAUSTED when it is too large, decompressed.
absl::StatusOr<std::string> MessageOf(const http::Request& request, webrpc::Protocol protocol);

// The message in the query of a Connect GET, and its codec by name.
struct GetMessage {
  std::string codec;
  std::string message;
};
absl::StatusOr<GetMessage> MessageOfGet(const http::Request& request);

// The time that the client gives the call. INVALID_ARGUMENT naming the header; DEADLINE_EXCEEDED
// when it gives none.
absl::StatusOr<std::optional<std::chrono::microseconds>> TimeoutOf(const http::Headers& headers,
                                                                   webrpc::Protocol protocol);

// INVALID_ARGUMENT for a version of Connect other than 1.
absl::Status CheckVersion(const http::Headers& headers);

}  // namespace penstock::gateway
