// What reading and writing share: how generated code calls the parts of one field.
#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>

#include "libs/protojson/type_info.h"

namespace penstock::protoc_gen {

// What libs/protojson knows about a field: the rules of JSON have one place.
const protojson::FieldInfo& InfoOfField(const google::protobuf::FieldDescriptor& field);

// The C++ type of a scalar field, enums not included.
std::string ScalarType(const google::protobuf::FieldDescriptor& field);

// Variables for a Printer: name (accessor), class (of the message that has the field), key (of the
// JSON member, as JsonWriter::CommaKey takes it), proto (name), index and type (of the value);
// where it has them, enum (its type's Identifier), oneof and oneof_case.
std::map<std::string, std::string> FieldVariables(const google::protobuf::FieldDescriptor& field);

}  // namespace penstock::protoc_gen
