// Generated code for google.api.http rules: transcode::RouteCode for each binding of a file.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include "absl/status/status.h"

namespace penstock::protoc_gen {

// Prints a source file that enters the routes of the services of `file` into libs/transcode; one
// that enters nothing when there are none. INVALID_ARGUMENT for rules that RouteTable refuses.
absl::Status PrintRoutes(const google::protobuf::FileDescriptor& file,
                         google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
