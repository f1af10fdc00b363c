#include "libs/protojson/print_well_known.h"

#include <fmt/format.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/protojson/time_text.h"

namespace penstock::protojson {
namespace {

using google::protobuf::DynamicCastToGenerated;
using google::protobuf::FieldMask;
using google::protobuf::ListValue;
using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::Value;

absl::Status WriteList(const TypeInfo& type, const ListValue& list, JsonWriter& writer);
absl::Status WriteStruct(const TypeInfo& type, const Struct& fields, JsonWriter& writer);

absl::Status WriteValue(const TypeInfo& type, const Value& value, JsonWriter& writer) {
  switch (value.kind_case()) {
    case Value::kNullValue: writer.Null(); break;
    case Value::kBoolValue: writer.Bool(value.bool_value()); break;
    case Value::kStringValue: writer.String(value.string_value()); break;
    case Value::kNumberValue:
      if (!std::isfinite(value.number_value())) {
        return NoJsonForm(type, "a number that is not finite");
      }
      writer.Double(value.number_value());
      break;
    case Value::kListValue: return WriteList(type, value.list_value(), writer);
    case Value::kStructValue: return WriteStruct(type, value.struct_value(), writer);
    case Value::KIND_NOT_SET: writer.Null(); break;
  }
  return absl::OkStatus();
}

absl::Status WriteList(const TypeInfo& type, const ListValue& list, JsonWriter& writer) {
  writer.BeginArray();
  for (const Value& value : list.values()) RETURN_IF_ERROR(WriteValue(type, value, writer));
  writer.EndArray();
  return absl::OkStatus();
}

absl::Status WriteStruct(const TypeInfo& type, const Struct& fields, JsonWriter& writer) {
  std::vector<std::pair<std::string_view, const Value*>> members;
  members.reserve(fields.fields().size());
  for (const auto& member : fields.fields()) members.emplace_back(member.first, &member.second);
  std::sort(members.begin(), members.end());
  writer.BeginObject();
  for (const auto& [name, value] : members) {
    writer.Key(name);
    RETURN_IF_ERROR(WriteValue(type, *value, writer));
  }
  writer.EndObject();
  return absl::OkStatus();
}

void WriteFieldMask(const FieldMask& mask, JsonWriter& writer) {
  std::string text;
  for (const std::string& path : mask.paths()) {
    if (&path != &mask.paths(0)) text.push_back(',');
    for (std::size_t i = 0; i < path.size(); ++i) {
      const bool folds =
          path[i] == '_' && i + 1 < path.size() && path[i + 1] >= 'a' && path[i + 1] <= 'z';
      text.push_back(folds ? static_cast<char>(path[++i] - 'a' + 'A') : path[i]);
    }
  }
  writer.String(text);
}

}  // namespace

absl::Status NoJsonForm(const TypeInfo& type, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("{} has no JSON form: {}", type.descriptor->full_name(), why));
}

absl::Status WriteWellKnown(const TypeInfo& type, const Message& message, JsonWriter& writer) {
  if (!IsCompiledIn(type.descriptor)) {
    // Types that were made at run time have no class to cast to.
    absl::Status status = NoJsonForm(type, "not a compiled-in message");
    WithCompiledTwin(message, [&](Message& twin) {
      twin.ParsePartialFromString(message.SerializePartialAsString());
      status = WriteWellKnown(InfoOf(twin.GetDescriptor()), twin, writer);
    });
    return status;
  }
  std::string text;
  switch (type.form) {
    case Form::kTimestamp:
      if (const auto* time = DynamicCastToGenerated<google::protobuf::Timestamp>(&message)) {
        if (!AppendTimestampText(*time, &text)) return NoJsonForm(type, "out of range");
        writer.String(text);
        return absl::OkStatus();
      }
      break;
    case Form::kDuration:
      if (const auto* duration = DynamicCastToGenerated<google::protobuf::Duration>(&message)) {
        if (!AppendDurationText(*duration, &text)) return NoJsonForm(type, "out of range");
        writer.String(text);
        return absl::OkStatus();
      }
      break;
    case Form::kFieldMask:
      if (const auto* mask = DynamicCastToGenerated<FieldMask>(&message)) {
        WriteFieldMask(*mask, writer);
        return absl::OkStatus();
      }
      break;
    case Form::kStruct:
      if (const auto* fields = DynamicCastToGenerated<Struct>(&message)) {
        return WriteStruct(type, *fields, writer);
      }
      break;
    case Form::kValue:
      if (const auto* value = DynamicCastToGenerated<Value>(&message)) {
        return WriteValue(type, *value, writer);
      }
      break;
    case Form::kListValue:
      if (const auto* list = DynamicCastToGenerated<ListValue>(&message)) {
        return WriteList(type, *list, writer);
      }
      break;
    default: break;
  }
  return NoJsonForm(type, "not a compiled-in message");
}

}  // namespace penstock::protojson
