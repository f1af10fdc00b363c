// Scalars into fields: the part that JSON values and plain text share.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"
#include "libs/protojson/json_path.h"
#include "libs/protojson/json_tree.h"

namespace penstock::protojson {

// Sets a scalar field, or appends to a repeated one, from a JSON value that is not null.
absl::Status StoreScalar(const JsonValue& value, const JsonPath& path, bool ignore_unknown_enum,
                         const google::protobuf::FieldDescriptor* field,
                         google::protobuf::Message* message);

// Like StoreScalar from text: the digits of a number, "true", the name or number of an enum value,
// base64.
absl::Status StoreScalarText(std::string_view text, const JsonPath& path,
                             const google::protobuf::FieldDescriptor* field,
                             google::protobuf::Message* message);

// INVALID_ARGUMENT at `path`: "expected <what>, got <kind of value>".
absl::Status ExpectedError(const JsonPath& path, std::string_view what, const JsonValue& value);

}  // namespace penstock::protojson
