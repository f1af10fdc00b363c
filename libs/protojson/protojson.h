// The proto3 JSON mapping: messages to JSON text and back.
//
// Everything here is thread-safe. What is known about a message type is cached by its descriptor:
// it must be compiled in, or its pool must call ForgetTypes before it goes.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/protojson/json_path.h"
#include "libs/protojson/json_tree.h"

namespace penstock::protojson {

struct ParseOptions {
  // Skips members that name no field, and enum values by unknown name, in place of refusing them.
  bool ignore_unknown_fields = false;
  // Nesting above this is refused.
  int max_depth = kMaxDepth;
  // What errors call the document, for example "function": violations then read
  // "function.http.url".
  std::string_view root_path = {};
};

struct PrintOptions {
  // Line breaks, and indents of two spaces.
  bool pretty = false;
  // Writes scalar, enum, repeated and map fields that have their default value, too.
  bool always_print_defaults = false;
  // Writes the empty repeated fields of messages named List…Response as [], so that a client can
  // always iterate over them.
  bool print_empty_lists = true;
};

// Parses `json` into `message`, which is cleared first. Accepts lowerCamelCase and original field
// names. INVALID_ARGUMENT on bad input: syntax errors say line and column; others carry a violation
// naming the place (`filters[0].exact.source`) and what was expected: unknown and repeated names,
// wrong types and ranges, two members of a oneof. `message` is unspecified after an error.
absl::Status ParseJson(std::string_view json, google::protobuf::Message* message,
                       const ParseOptions& options = {});

// Like ParseJson for a value that is parsed already; errors name places under `path`.
// Merges into `message`, which should be empty.
absl::Status ReadMessage(const JsonValue& value, const JsonPath& path,
                         google::protobuf::Message* message, const ParseOptions& options = {});

// Parses `json` into one field of `message`: an array for a repeated field, an object for a map.
absl::Status ParseJsonField(std::string_view json, const google::protobuf::FieldDescriptor* field,
                            google::protobuf::Message* message, const ParseOptions& options = {});

// Like ParseJsonField for a value that is parsed already.
absl::Status ReadField(const JsonValue& value, const JsonPath& path,
                       const google::protobuf::FieldDescriptor* field,
                       google::protobuf::Message* message, const ParseOptions& options = {});

// Appends `message` to `out`. Fields are written in the order of their declaration, map entries by
// key. INVALID_ARGUMENT when the message has no JSON form: an Any of an unknown type, a Timestamp
// or Duration out of range; `out` then holds a partial text.
absl::Status AppendJson(const google::protobuf::Message& message, std::string* out,
                        const PrintOptions& options = {});

// Like AppendJson, into a new string.
absl::StatusOr<std::string> PrintJson(const google::protobuf::Message& message,
                                      const PrintOptions& options = {});

// The value of one field, whether set or not: an array for a repeated field, an object for a map.
absl::StatusOr<std::string> PrintJsonField(const google::protobuf::Message& message,
                                           const google::protobuf::FieldDescriptor* field,
                                           const PrintOptions& options = {});

// The field of `type` that JSON calls `name` (lowerCamelCase or original name), or null.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor* type,
                                                   std::string_view name);

// Whether the JSON form of `type` is an object of its fields: false for the well-known types with a
// form of their own and for types with a hook.
bool HasPlainForm(const google::protobuf::Descriptor* type);

// INVALID_ARGUMENT at `path` when another field of the oneof that `field` is in is set.
absl::Status CheckOneof(const google::protobuf::Message& message,
                        const google::protobuf::FieldDescriptor* field, const JsonPath& path);

// Forgets all types of a pool that is about to be destroyed. None of them may be in use.
void ForgetTypes(const google::protobuf::DescriptorPool* pool);

// Sets a field from plain text, as in a query parameter or a path: numbers, true and false, enum
// values by name or number, bytes as base64, and the well-known types that are strings or scalars
// in JSON. Appends to a repeated field. Errors name `path`.
absl::Status SetFieldFromText(std::string_view text, const JsonPath& path,
                              const google::protobuf::FieldDescriptor* field,
                              google::protobuf::Message* message);

// Sets the entry `key` of a map field whose values are scalars. Errors name `path`.
absl::Status SetMapEntryFromText(std::string_view key, std::string_view text, const JsonPath& path,
                                 const google::protobuf::FieldDescriptor* field,
                                 google::protobuf::Message* message);

}  // namespace penstock::protojson
