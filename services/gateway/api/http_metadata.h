// HTTP headers to gRPC metadata and back, and the deadline that a client sets.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/message.h"
#include "libs/rpc/call_options.h"

namespace penstock::gateway {

// Which headers pass under their own names, without case, besides those with a prefix.
struct HeaderRules {
  std::vector<std::string> request;
  std::vector<std::string> answer;

  bool operator==(const HeaderRules&) const = default;
};

// What gRPC can carry: keys of lower case letters, digits, '-', '_' and '.', and values (of keys
// that do not end in -bin) of printable ASCII.
bool IsMetadataKey(std::string_view key);
bool IsMetadataValue(std::string_view value);

// Adds to `options` what the headers of a request say to the service:
// - `Grpc-Metadata-<key>: value` as metadata <key>, in base64 where the key ends in -bin;
// - the headers that `rules` names, under their names in lower case;
// - `Grpc-Timeout`, which shortens the call's time and never extends it.
// Keys that HTTP/2, gRPC or this suite use themselves do not pass. INVALID_ARGUMENT naming the
// header: a key or value that gRPC cannot carry, a malformed timeout.
absl::Status AddCallMetadata(const http::Headers& headers, const HeaderRules& rules,
                             rpc::CallOptions* options);

// Adds to an answer's headers what the service said: metadata <key> as `Grpc-Metadata-<key>`, or
// under its own name where `rules` has it; trailing metadata as `Grpc-Trailer-<key>`. Values of
// keys in -bin are written in base64.
void AddHeadMetadata(const rpc::ResponseMetadata& metadata, const HeaderRules& rules,
                     http::Headers* headers);
void AddTrailingMetadata(const rpc::ResponseMetadata& metadata, const HeaderRules& rules,
                         http::Headers* headers);

// The same for the answer of another transcoder, whose headers are `Grpc-Metadata-<key>` and
// `Grpc-Trailer-<key>` already.
void AddProxiedMetadata(const http::Headers& answer, const HeaderRules& rules,
                        http::Headers* headers);

// The value of a Grpc-Timeout header: at most eight digits and H, M, S, m, u or n. Rounded up to
// milliseconds.
absl::StatusOr<std::chrono::milliseconds> ParseGrpcTimeout(std::string_view text);

// Adds the W3C trace context of a request, `traceparent` and `tracestate`, if it is well formed.
void AddTraceContext(const http::Headers& headers, rpc::CallOptions* options);

}  // namespace penstock::gateway
