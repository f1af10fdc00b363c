// The CloudEvents JSON event format, and its batch.
//
// Reading keeps the exact bytes of a JSON `data` value as the payload; a string under another
// content type is kept as its text, `data_base64` as its bytes; all as binary_data. Writing puts a
// payload in `data` when it is JSON (or text under a textual content type), and in `data_base64`
// otherwise. What is read is not validated beyond its form: call Validate.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/cloudevents/event.h"
#include "libs/protojson/json_path.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"

namespace penstock::cloudevents {

// Reads one event. INVALID_ARGUMENT naming the member, or line and column of a syntax error.
absl::StatusOr<CloudEvent> FromJson(std::string_view json);

// Reads an array of events. Each has its own result, named "[index].member" in errors, as events of
// a batch are independent; the call fails only when the text is no JSON array.
absl::StatusOr<std::vector<absl::StatusOr<CloudEvent>>> FromJsonBatch(std::string_view json);

// Appends one event as a JSON object. Compact text is one line.
absl::Status AppendJson(const CloudEvent& event, std::string* out, bool pretty = false);

// Like AppendJson, into a new string.
absl::StatusOr<std::string> ToJson(const CloudEvent& event);

// A JSON array of the events.
absl::StatusOr<std::string> ToJsonBatch(const CloudEventBatch& batch);

// The same for a value that is parsed already, and for a writer: the joint with libs/protojson.
absl::Status ReadEvent(const protojson::JsonValue& value, const protojson::JsonPath& path,
                       CloudEvent* event);
absl::Status WriteEvent(const CloudEvent& event, protojson::JsonWriter& writer);

// Makes libs/protojson read and write events inside other messages in this format. Call once at
// start; calling again does no harm.
void RegisterJsonForm();

}  // namespace penstock::cloudevents
