#include "libs/protojson/read_well_known.h"

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/struct.pb.h>

#include <string>

#include "libs/base/status.h"
#include "libs/protojson/numbers.h"
#include "libs/protojson/scalar.h"
#include "libs/protojson/time_text.h"

namespace penstock::protojson {
namespace {

using google::protobuf::DynamicCastToGenerated;
using google::protobuf::FieldMask;
using google::protobuf::ListValue;
using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::Value;

absl::Status NotCompiledIn(const TypeInfo& type) {
  return absl::InternalError("not a compiled-in message: " + type.descriptor->full_name());
}

// Reads into a compiled-in message of the same type, and copies that: types that were made at run
// time have no class to cast to.
absl::Status ReadTwin(const TypeInfo& type, Message* message,
                      absl::FunctionRef<absl::Status(const TypeInfo&, Message*)> read) {
  absl::Status status = NotCompiledIn(type);
  WithCompiledTwin(*message, [&](Message& twin) {
    status = read(InfoOf(twin.GetDescriptor()), &twin);
    if (status.ok()) message->ParsePartialFromString(twin.SerializePartialAsString());
  });
  return status;
}

absl::Status ReadList(const JsonValue& value, const JsonPath& path, ListValue* list);
absl::Status ReadStruct(const JsonValue& value, const JsonPath& path, Struct* fields);

absl::Status ReadValue(const JsonValue& value, const JsonPath& path, Value* message) {
  switch (value.kind()) {
    case JsonKind::kNull: message->set_null_value(google::protobuf::NULL_VALUE); break;
    case JsonKind::kBool: message->set_bool_value(value.boolean()); break;
    case JsonKind::kString: message->set_string_value(std::string(value.text())); break;
    case JsonKind::kNumber: {
      double number = 0;
      if (ParseDouble(value.text(), &number) != NumberResult::kOk) {
        return path.Error("expected a number that fits a double");
      }
      message->set_number_value(number);
      break;
    }
    case JsonKind::kArray: return ReadList(value, path, message->mutable_list_value());
    case JsonKind::kObject: return ReadStruct(value, path, message->mutable_struct_value());
  }
  return absl::OkStatus();
}

absl::Status ReadList(const JsonValue& value, const JsonPath& path, ListValue* list) {
  if (!value.is_array()) return ExpectedError(path, "an array", value);
  std::size_t index = 0;
  for (const JsonValue element : value.elements()) {
    RETURN_IF_ERROR(ReadValue(element, JsonPath(path, index++), list->add_values()));
  }
  return absl::OkStatus();
}

absl::Status ReadStruct(const JsonValue& value, const JsonPath& path, Struct* fields) {
  if (!value.is_object()) return ExpectedError(path, "an object", value);
  for (const auto& [key, member] : value.members()) {
    const JsonPath member_path(path, key);
    const std::string name(key);
    if (fields->fields().contains(name)) return member_path.Error("is given twice");
    RETURN_IF_ERROR(ReadValue(member, member_path, &(*fields->mutable_fields())[name]));
  }
  return absl::OkStatus();
}

// Appends "fooBar.baz" as "foo_bar.baz". Original names pass as they are, as everywhere, and so
// does "*", the mask of all fields. False when the text is no field path.
bool AppendFieldPath(std::string_view path, std::string* out) {
  for (const char c : path) {
    if (c >= 'A' && c <= 'Z') {
      out->push_back('_');
      out->push_back(static_cast<char>(c - 'A' + 'a'));
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '*') {
      out->push_back(c);
    } else {
      return false;
    }
  }
  return !path.empty();
}

absl::Status ReadFieldMask(std::string_view text, const JsonPath& path, FieldMask* mask) {
  if (text.empty()) return absl::OkStatus();
  for (;;) {
    const std::size_t comma = text.find(',');
    if (!AppendFieldPath(text.substr(0, comma), mask->add_paths())) {
      return path.Error("expected field paths separated by commas, as in \"displayName,http.url\"");
    }
    if (comma == std::string_view::npos) return absl::OkStatus();
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

absl::Status ReadStructForm(const TypeInfo& type, const JsonValue& value, const JsonPath& path,
                            Message* message) {
  if (!IsCompiledIn(type.descriptor)) {
    return ReadTwin(type, message, [&](const TypeInfo& twin_type, Message* twin) {
      return ReadStructForm(twin_type, value, path, twin);
    });
  }
  switch (type.form) {
    case Form::kStruct:
      if (auto* fields = DynamicCastToGenerated<Struct>(message)) {
        return ReadStruct(value, path, fields);
      }
      break;
    case Form::kValue:
      if (auto* any_value = DynamicCastToGenerated<Value>(message)) {
        return ReadValue(value, path, any_value);
      }
      break;
    case Form::kListValue:
      if (auto* list = DynamicCastToGenerated<ListValue>(message)) {
        return ReadList(value, path, list);
      }
      break;
    default: break;
  }
  return NotCompiledIn(type);
}

bool HasTextForm(const TypeInfo& type) {
  return type.form == Form::kTimestamp || type.form == Form::kDuration ||
         type.form == Form::kFieldMask || type.form == Form::kWrapper;
}

absl::Status ReadTextForm(const TypeInfo& type, std::string_view text, const JsonPath& path,
                          Message* message) {
  if (type.form != Form::kWrapper && !IsCompiledIn(type.descriptor)) {
    return ReadTwin(type, message, [&](const TypeInfo& twin_type, Message* twin) {
      return ReadTextForm(twin_type, text, path, twin);
    });
  }
  switch (type.form) {
    case Form::kTimestamp: {
      auto* timestamp = DynamicCastToGenerated<google::protobuf::Timestamp>(message);
      if (timestamp == nullptr) return NotCompiledIn(type);
      if (ParseTimestampText(text, timestamp)) return absl::OkStatus();
      return path.Error("expected an RFC 3339 time, as in \"2026-01-02T03:04:05.678Z\"");
    }
    case Form::kDuration: {
      auto* duration = DynamicCastToGenerated<google::protobuf::Duration>(message);
      if (duration == nullptr) return NotCompiledIn(type);
      if (ParseDurationText(text, duration)) return absl::OkStatus();
      return path.Error("expected a duration in seconds, as in \"1.5s\"");
    }
    case Form::kFieldMask: {
      auto* mask = DynamicCastToGenerated<FieldMask>(message);
      if (mask == nullptr) return NotCompiledIn(type);
      return ReadFieldMask(text, path, mask);
    }
    case Form::kWrapper: return StoreScalarText(text, path, type.descriptor->field(0), message);
    default: return absl::InternalError("no text form: " + type.descriptor->full_name());
  }
}

}  // namespace penstock::protojson
