// The headers of a web client's call as gRPC metadata, and what the server says as headers.
#pragma once

#include "absl/status/statusor.h"
#include "libs/h2/fields.h"
#include "libs/http/message.h"
#include "libs/rpc/metadata.h"
#include "libs/webrpc/connect.h"

namespace penstock::gateway {

// Every header that gRPC can carry, but for those that belong to a hop, to HTTP's content, to the
// protocols themselves, and those that only services may send. Values of keys in -bin are decoded;
// INVALID_ARGUMENT naming one that is not base64.
absl::StatusOr<rpc::MetadataList> MetadataOfRequest(const http::Headers& headers);

// What a server said in a head or in trailers, without what belongs to HTTP/2 and gRPC.
webrpc::MetadataText AnswerMetadata(const h2::Fields& fields);
// The same of metadata whose values are not encoded.
webrpc::MetadataText AnswerMetadata(const rpc::MetadataList& metadata);

// A value of metadata as it travels: in base64 without padding where the key ends in -bin.
std::string EncodedValue(std::string_view key, std::string_view value);

}  // namespace penstock::gateway
