#include "tools/protoc-gen-penstock/field_code.h"

#include <google/protobuf/compiler/cpp/names.h>

#include "tools/protoc-gen-penstock/names.h"

namespace penstock::protoc_gen {

namespace cpp = google::protobuf::compiler::cpp;
using google::protobuf::FieldDescriptor;

const protojson::FieldInfo& InfoOfField(const FieldDescriptor& field) {
  return protojson::InfoOf(field.containing_type()).fields[static_cast<std::size_t>(field.index())];
}

std::string ScalarType(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return "std::int32_t";
    case FieldDescriptor::CPPTYPE_INT64: return "std::int64_t";
    case FieldDescriptor::CPPTYPE_UINT32: return "std::uint32_t";
    case FieldDescriptor::CPPTYPE_UINT64: return "std::uint64_t";
    case FieldDescriptor::CPPTYPE_DOUBLE: return "double";
    case FieldDescriptor::CPPTYPE_FLOAT: return "float";
    case FieldDescriptor::CPPTYPE_BOOL: return "bool";
    default: return "std::string";
  }
}

std::map<std::string, std::string> FieldVariables(const FieldDescriptor& field) {
  std::map<std::string, std::string> variables = {
      {"name", cpp::FieldName(&field)},
      {"class", cpp::QualifiedClassName(field.containing_type())},
      {"proto", field.name()},
      {"key", Literal("," + InfoOfField(field).quoted_key)},
      {"index", std::to_string(field.index())},
      {"type", ScalarType(field)}};
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    variables["type"] = cpp::QualifiedClassName(field.enum_type());
    variables["enum"] = Identifier(field.enum_type()->full_name());
  }
  if (const auto* oneof = field.real_containing_oneof()) {
    variables["oneof"] = oneof->name();
    variables["oneof_case"] = cpp::OneofCaseConstantName(&field);
  }
  return variables;
}

}  // namespace penstock::protoc_gen
