// Requests and responses by the generated code of their routes alone.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "libs/protojson/protojson.h"
#include "libs/transcode/transcoder.h"

namespace penstock::transcode {

// BuildRequest by generated code: null when the route has none, or it gave up.
std::unique_ptr<google::protobuf::Message> BuildByCode(const Route& route,
                                                       const PathBindings& bindings,
                                                       std::string_view query,
                                                       const RequestBody& body);

// Appends the JSON of a response's body to `out`. False, and `out` is as it was, when the route has
// no code for it, or it gave up.
bool WriteByCode(const Route& route, const google::protobuf::Message& message,
                 const protojson::PrintOptions& options, std::string* out);

}  // namespace penstock::transcode
