// Writing the message types whose JSON form is not an object of their fields.
#pragma once

#include <google/protobuf/message.h>

#include "absl/status/status.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {

// Writes Timestamp, Duration, FieldMask, Struct, Value and ListValue.
absl::Status WriteWellKnown(const TypeInfo& type, const google::protobuf::Message& message,
                            JsonWriter& writer);

// INVALID_ARGUMENT for a message that has no JSON form.
absl::Status NoJsonForm(const TypeInfo& type, std::string_view why);

}  // namespace penstock::protojson
