// Requests from HTTP parts, and HTTP bodies from responses.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/protojson/protojson.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// The body of an HTTP request. An empty `data` is no body.
struct RequestBody {
  std::string_view content_type;
  std::string_view data;
};

// Builds the request message of `route`.
//
// The body goes where the rule says, as JSON; into a google.api.HttpBody as it is. Query parameters
// (`query` without its question mark) set fields by name: `a.b=1`, repeated fields by repetition,
// maps as `metadata.key=value` or `metadata[key]=value`. The path's variables are set last. For a
// PATCH whose request has an `update_mask` that the query does not set, the mask becomes the fields
// that are present in the body. INVALID_ARGUMENT with a violation that names the parameter,
// variable or JSON place. Thread-safe.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> BuildRequest(
    const Route& route, const PathBindings& bindings, std::string_view query,
    const RequestBody& body);

// BuildRequest without generated code.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> BuildByReflection(
    const Route& route, const PathBindings& bindings, std::string_view query,
    const RequestBody& body);

// The messages of a client stream. The body is one JSON text a line, blank lines aside, or the
// bytes of a google.api.HttpBody in pieces of 64 KiB. Query and path belong to the first message,
// which is made without a body if they say anything. Errors name places as in `messages[2].name`.
absl::StatusOr<std::vector<std::unique_ptr<google::protobuf::Message>>> BuildRequests(
    const Route& route, const PathBindings& bindings, std::string_view query,
    const RequestBody& body);

struct ResponseBody {
  std::string content_type;
  std::string data;
};

// Renders a response message of `route`, or one message of its response stream: JSON, or the bytes
// of a google.api.HttpBody with their own content type. Thread-safe.
absl::StatusOr<ResponseBody> BuildResponse(const Route& route,
                                           const google::protobuf::Message& message,
                                           const protojson::PrintOptions& options = {});

}  // namespace penstock::transcode
