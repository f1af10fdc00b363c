#include "tools/protoc-gen-penstock/openapi_schema.h"

#include <google/protobuf/descriptor.pb.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "libs/protojson/type_info.h"
#include "tools/protoc-gen-penstock/doc_comment.h"

namespace penstock::protoc_gen {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

json::object EnumSchema(const EnumDescriptor& type) {
  if (type.full_name() == "google.protobuf.NullValue") return {{"type", "null"}};
  json::array names;
  std::string meanings;
  for (int i = 0; i < type.value_count(); ++i) {
    names.emplace_back(type.value(i)->name());
    const std::string comment = CommentOf(*type.value(i));
    if (!comment.empty()) meanings += "\n* `" + type.value(i)->name() + "`: " + comment;
  }
  json::object schema{{"type", "string"}};
  if (!meanings.empty()) schema["description"] = meanings.substr(1);
  schema["enum"] = std::move(names);
  return schema;
}

json::object WrapperSchema(const Descriptor& type) {
  const FieldDescriptor& value = *type.FindFieldByNumber(1);
  switch (value.type()) {
    case FieldDescriptor::TYPE_BOOL: return {{"type", {"boolean", "null"}}};
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_DOUBLE: return {{"type", {"number", "null"}}};
    case FieldDescriptor::TYPE_INT32: return {{"type", {"integer", "null"}}, {"format", "int32"}};
    case FieldDescriptor::TYPE_UINT32: return {{"type", {"integer", "null"}}, {"minimum", 0}};
    default: return {{"type", {"string", "null"}}};
  }
}

// The schema of a type that is no object of its fields; empty for all others.
json::object OwnForm(const Descriptor& type) {
  if (type.full_name() == "google.protobuf.Empty") return {{"type", "object"}};
  switch (protojson::InfoOf(&type).form) {
    case protojson::Form::kTimestamp: return {{"type", "string"}, {"format", "date-time"}};
    case protojson::Form::kDuration:
      return {{"type", "string"}, {"pattern", R"(^-?[0-9]+(\.[0-9]{1,9})?s$)"}};
    case protojson::Form::kFieldMask: return {{"type", "string"}};
    case protojson::Form::kStruct: return {{"type", "object"}, {"additionalProperties", true}};
    case protojson::Form::kValue: return {{"description", "Any JSON value."}};
    case protojson::Form::kListValue: return {{"type", "array"}, {"items", json::object()}};
    case protojson::Form::kWrapper: return WrapperSchema(type);
    case protojson::Form::kAny:
      return {{"type", "object"},
              {"properties", {{"@type", {{"type", "string"}}}}},
              {"required", json::array{"@type"}},
              {"additionalProperties", true}};
    case protojson::Form::kPlain: break;
  }
  return {};
}

void Describe(const std::string& comment, json::object& schema) {
  if (comment.empty()) return;
  const auto* more = schema.if_contains("description");
  schema["description"] =
      more == nullptr ? comment : comment + "\n\n" + std::string(more->as_string());
}

}  // namespace

json::object OpenApiSchemas::Of(const Descriptor& type) {
  if (!schemas_.contains(type.full_name())) {
    if (json::object own = OwnForm(type); !own.empty()) return own;
    schemas_[type.full_name()] = nullptr;  // holds its place in the order
    referred_.push_back(&type);
  }
  return {{"$ref", "#/components/schemas/" + type.full_name()}};
}

json::object OpenApiSchemas::ValueOf(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_MESSAGE:
    case FieldDescriptor::TYPE_GROUP: return Of(*field.message_type());
    case FieldDescriptor::TYPE_ENUM: return EnumSchema(*field.enum_type());
    case FieldDescriptor::TYPE_BOOL: return {{"type", "boolean"}};
    case FieldDescriptor::TYPE_STRING: return {{"type", "string"}};
    case FieldDescriptor::TYPE_BYTES: return {{"type", "string"}, {"contentEncoding", "base64"}};
    case FieldDescriptor::TYPE_FLOAT: return {{"type", "number"}, {"format", "float"}};
    case FieldDescriptor::TYPE_DOUBLE: return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::TYPE_INT64:
    case FieldDescriptor::TYPE_SINT64:
    case FieldDescriptor::TYPE_SFIXED64: return {{"type", "string"}, {"format", "int64"}};
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_FIXED64: return {{"type", "string"}, {"format", "uint64"}};
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_FIXED32: return {{"type", "integer"}, {"minimum", 0}};
    default: return {{"type", "integer"}, {"format", "int32"}};
  }
}

json::object OpenApiSchemas::Of(const FieldDescriptor& field) {
  json::object schema;
  if (field.is_map()) {
    schema = {{"type", "object"},
              {"additionalProperties", ValueOf(*field.message_type()->map_value())}};
  } else if (field.is_repeated()) {
    schema = {{"type", "array"}, {"items", ValueOf(field)}};
  } else {
    schema = ValueOf(field);
  }
  const std::string comment = CommentOf(field);
  Describe(comment, schema);
  if (Says(comment, "Output only.")) schema["readOnly"] = true;
  if (field.options().deprecated()) schema["deprecated"] = true;
  const std::string example = ExampleIn(comment);
  if (!example.empty() && field.type() == FieldDescriptor::TYPE_STRING && !field.is_repeated()) {
    schema["examples"] = json::array{json::value(example)};
  }
  return schema;
}

json::object OpenApiSchemas::ObjectOf(const Descriptor& type,
                                      const std::set<const FieldDescriptor*>& left_out) {
  const bool is_request = type.name().ends_with("Request");
  json::object properties;
  json::array required;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (left_out.contains(&field)) continue;
    properties[field.json_name()] = Of(field);
    if (is_request && Says(CommentOf(field), "Required.")) required.emplace_back(field.json_name());
  }
  json::object schema{{"type", "object"}};
  Describe(CommentOf(type), schema);
  if (type.options().deprecated()) schema["deprecated"] = true;
  if (!required.empty()) schema["required"] = std::move(required);
  if (!properties.empty()) schema["properties"] = std::move(properties);
  return schema;
}

json::object OpenApiSchemas::Take() {
  while (!referred_.empty()) {
    const Descriptor* type = referred_.front();
    referred_.pop_front();
    schemas_[type->full_name()] = ObjectOf(*type, {});
  }
  return std::move(schemas_);
}

}  // namespace penstock::protoc_gen
