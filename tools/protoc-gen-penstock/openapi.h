// The description of the REST API, in OpenAPI 3.1.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::protoc_gen {

// The document, in JSON, of the google.api.http rules in `files`, added to `base`: an OpenAPI
// document with what is written by hand (info, servers, security, the response called `Error`,
// operations that are no RPC). What `base` has is kept: a schema of its own stands for the message
// of that name, and its references to other messages are resolved. `version` becomes that of the
// document. INVALID_ARGUMENT for rules that RouteTable refuses, an operation that is there twice, a
// path whose segments are called differently in two comments, a `base` that is no such document,
// and a reference in it to a message that does not exist.
absl::StatusOr<std::string> OpenApiDocument(
    const std::vector<const google::protobuf::FileDescriptor*>& files, std::string_view base,
    std::string_view version);

}  // namespace penstock::protoc_gen
