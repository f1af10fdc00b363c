// Message types that have a JSON form of their own, other than proto3's.
//
// libs/cloudevents registers io.cloudevents.v1.CloudEvent here:
// docs/decisions/0002-cloudevents-json.md.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"
#include "libs/protojson/json_path.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"

namespace penstock::protojson {

// How one message type is read and written. Functions must be thread-safe.
struct JsonHook {
  // Reads `value`, which is not null, into the empty `message`; errors name places under `path`.
  absl::Status (*read)(const JsonValue& value, const JsonPath& path,
                       google::protobuf::Message* message);
  // Writes `message` as exactly one JSON value.
  absl::Status (*write)(const google::protobuf::Message& message, JsonWriter& writer);
};

// Uses `hook` for messages of type `full_name` ("io.cloudevents.v1.CloudEvent") from now on,
// wherever they occur. A second registration replaces the first. Thread-safe; meant for the start
// of the process.
void RegisterJsonHook(std::string_view full_name, const JsonHook& hook);

}  // namespace penstock::protojson
