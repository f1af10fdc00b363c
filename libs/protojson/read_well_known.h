// Reading the message types whose JSON form is not an object of their fields.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"
#include "libs/protojson/json_path.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {

// Reads google.protobuf.Struct, Value and ListValue.
absl::Status ReadStructForm(const TypeInfo& type, const JsonValue& value, const JsonPath& path,
                            google::protobuf::Message* message);

// Whether a type can be read from plain text: Timestamp, Duration, FieldMask, the wrappers.
bool HasTextForm(const TypeInfo& type);

// Reads a type that HasTextForm.
absl::Status ReadTextForm(const TypeInfo& type, std::string_view text, const JsonPath& path,
                          google::protobuf::Message* message);

}  // namespace penstock::protojson
