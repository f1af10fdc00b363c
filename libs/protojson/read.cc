#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "libs/base/status.h"
#include "libs/protojson/any_type.h"
#include "libs/protojson/codec.h"
#include "libs/protojson/deterministic.h"
#include "libs/protojson/protojson.h"
#include "libs/protojson/read_well_known.h"
#include "libs/protojson/scalar.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kTypeMember = "@type";

absl::Status ReadForm(const TypeInfo& type, const JsonValue& value, const JsonPath& path,
                      Message* message, const ParseOptions& options);

// Which fields an object has named already.
class SeenFields {
 public:
  explicit SeenFields(std::size_t count) : more_(count > 64 ? count - 64 : 0) {}
  // False when the field was marked before.
  bool Mark(std::size_t index) {
    if (index >= 64) {
      if (more_[index - 64]) return false;
      more_[index - 64] = true;
      return true;
    }
    const std::uint64_t bit = std::uint64_t{1} << index;
    if ((first_ & bit) != 0) return false;
    first_ |= bit;
    return true;
  }

 private:
  std::uint64_t first_ = 0;
  std::vector<bool> more_;
};

// One element of a repeated field, or the value of a singular one.
absl::Status ReadOne(const FieldInfo& field, const JsonValue& value, const JsonPath& path,
                     Message* message, const ParseOptions& options) {
  const auto* reflection = message->GetReflection();
  if (field.is_message) {
    Message* child = field.is_repeated ? reflection->AddMessage(message, field.descriptor)
                                       : reflection->MutableMessage(message, field.descriptor);
    return ReadForm(field.type(), value, path, child, options);
  }
  if (field.is_null_value && value.is_null()) {
    if (field.is_repeated) {
      reflection->AddEnumValue(message, field.descriptor, 0);
    } else {
      reflection->SetEnumValue(message, field.descriptor, 0);
    }
    return absl::OkStatus();
  }
  return StoreScalar(value, path, options.ignore_unknown_fields, field.descriptor, message);
}

absl::Status ReadList(const FieldInfo& field, const JsonValue& value, const JsonPath& path,
                      Message* message, const ParseOptions& options) {
  if (!value.is_array()) return ExpectedError(path, "an array", value);
  std::size_t index = 0;
  for (const JsonValue element : value.elements()) {
    const JsonPath element_path(path, index++);
    if (element.is_null() && !field.NullIsValue()) {
      return element_path.Error("expected a value, got null");
    }
    RETURN_IF_ERROR(ReadOne(field, element, element_path, message, options));
  }
  return absl::OkStatus();
}

// A map key in the one text that stands for it, so that "1" and "1.0" are seen to be the same.
std::string CanonicalKey(const Message& entry, const FieldDescriptor* key) {
  const auto* reflection = entry.GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return fmt::format("{}", reflection->GetInt32(entry, key));
    case FieldDescriptor::CPPTYPE_INT64: return fmt::format("{}", reflection->GetInt64(entry, key));
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format("{}", reflection->GetUInt32(entry, key));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", reflection->GetUInt64(entry, key));
    case FieldDescriptor::CPPTYPE_BOOL: return reflection->GetBool(entry, key) ? "true" : "false";
    default: return reflection->GetString(entry, key);
  }
}

absl::Status ReadMap(const FieldInfo& field, const JsonValue& value, const JsonPath& path,
                     Message* message, const ParseOptions& options) {
  if (!value.is_object()) return ExpectedError(path, "an object", value);
  const TypeInfo& entry_type = field.type();
  const FieldInfo& value_field = entry_type.fields[1];
  const FieldDescriptor* key_field = entry_type.fields[0].descriptor;
  std::unordered_set<std::string> keys;
  for (const auto& [key, element] : value.members()) {
    const JsonPath element_path(path, key);
    if (element.is_null() && !value_field.NullIsValue()) {
      return element_path.Error("expected a value, got null");
    }
    Message* entry = message->GetReflection()->AddMessage(message, field.descriptor);
    RETURN_IF_ERROR(StoreScalarText(key, element_path, key_field, entry));
    if (!keys.insert(CanonicalKey(*entry, key_field)).second) {
      return element_path.Error("is given twice");
    }
    RETURN_IF_ERROR(ReadOne(value_field, element, element_path, entry, options));
  }
  return absl::OkStatus();
}

absl::Status ReadFieldInfo(const FieldInfo& field, const JsonValue& value, const JsonPath& path,
                           Message* message, const ParseOptions& options) {
  if (value.is_null() && (field.is_repeated || field.is_map || !field.NullIsValue())) {
    return absl::OkStatus();
  }
  if (field.is_map) return ReadMap(field, value, path, message, options);
  if (field.is_repeated) return ReadList(field, value, path, message, options);
  RETURN_IF_ERROR(CheckOneof(*message, field.descriptor, path));
  return ReadOne(field, value, path, message, options);
}

// An object of fields. `type_member` is the member that an Any has besides.
absl::Status ReadObject(const TypeInfo& type, const JsonValue& value, const JsonPath& path,
                        Message* message, const ParseOptions& options,
                        std::string_view type_member = {}) {
  if (!value.is_object()) return ExpectedError(path, "an object", value);
  SeenFields seen(type.fields.size());
  for (const auto& [key, member] : value.members()) {
    if (!type_member.empty() && key == type_member) continue;
    const JsonPath member_path(path, key);
    const FieldInfo* field = type.Find(key);
    if (field == nullptr) {
      if (options.ignore_unknown_fields) continue;
      return member_path.Error(fmt::format("unknown field of {}", type.descriptor->name()));
    }
    if (!seen.Mark(field->index)) return member_path.Error("is given twice");
    RETURN_IF_ERROR(ReadFieldInfo(*field, member, member_path, message, options));
  }
  return absl::OkStatus();
}

// The only member of `object` with this name; an error when there are two.
absl::StatusOr<std::optional<JsonValue>> FindMember(const JsonValue& object, std::string_view name,
                                                    const JsonPath& path) {
  std::optional<JsonValue> found;
  for (const auto& [key, member] : object.members()) {
    if (key != name) continue;
    if (found) return JsonPath(path, name).Error("is given twice");
    found = member;
  }
  return found;
}

// {"@type": …, "value": …} for types with a form of their own.
absl::Status ReadAnyOwnForm(const TypeInfo& type, const JsonValue& object, const JsonPath& path,
                            Message* content, const ParseOptions& options) {
  ASSIGN_OR_RETURN(const auto value, FindMember(object, "value", path));
  const JsonPath value_path(path, "value");
  if (!value) return value_path.Error("expected the value of the Any");
  for (const auto& [key, member] : object.members()) {
    if (key != kTypeMember && key != "value" && !options.ignore_unknown_fields) {
      return JsonPath(path, key).Error("unknown field: expected `@type` and `value`");
    }
  }
  if (value->is_null() && type.form != Form::kValue) {
    return value_path.Error("expected a value, got null");
  }
  return ReadForm(type, *value, value_path, content, options);
}

absl::Status ReadAny(const JsonValue& value, const JsonPath& path, Message* message,
                     const ParseOptions& options) {
  if (!value.is_object()) return ExpectedError(path, "an object", value);
  if (value.size() == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto type_url, FindMember(value, kTypeMember, path));
  const JsonPath type_path(path, kTypeMember);
  if (!type_url) return type_path.Error("expected the type URL of the Any");
  if (!type_url->is_string()) return ExpectedError(type_path, "a string", *type_url);
  const std::string_view url = type_url->text();
  const std::unique_ptr<Message> content = NewContent(*message, url);
  if (content == nullptr) {
    return type_path.Error(
        "expected the URL of a known type, as in \"type.googleapis.com/google.rpc.ErrorInfo\"");
  }
  const TypeInfo& type = InfoOf(content->GetDescriptor());
  if (type.HasOwnForm()) {
    RETURN_IF_ERROR(ReadAnyOwnForm(type, value, path, content.get(), options));
  } else {
    RETURN_IF_ERROR(ReadObject(type, value, path, content.get(), options, kTypeMember));
  }
  // Nobody can bring the maps in an Any's bytes into an order later.
  SetAny({.type_url = std::string(url), .value = SerializeDeterministic(*content)}, message);
  return absl::OkStatus();
}

absl::Status ReadForm(const TypeInfo& type, const JsonValue& value, const JsonPath& path,
                      Message* message, const ParseOptions& options) {
  if (const JsonHook* hook = type.hook.load(std::memory_order_acquire)) {
    return hook->read(value, path, message);
  }
  switch (type.form) {
    case Form::kPlain: return ReadObject(type, value, path, message, options);
    case Form::kStruct:
    case Form::kValue:
    case Form::kListValue: return ReadStructForm(type, value, path, message);
    case Form::kWrapper:
      return StoreScalar(value, path, options.ignore_unknown_fields, type.fields[0].descriptor,
                         message);
    case Form::kAny: return ReadAny(value, path, message, options);
    default: break;
  }
  if (!value.is_string()) return ExpectedError(path, "a string", value);
  return ReadTextForm(type, value.text(), path, message);
}

// A syntax error under the name of the document that it is in.
absl::Status ParseText(std::string_view json, const ParseOptions& options, JsonDocument* document) {
  const absl::Status status = document->Parse(json, options.max_depth);
  if (status.ok() || options.root_path.empty()) return status;
  return FieldError(options.root_path, {status.message().data(), status.message().size()});
}

}  // namespace

absl::Status ReadMessage(const JsonValue& value, const JsonPath& path, Message* message,
                         const ParseOptions& options) {
  return ReadForm(InfoOf(message->GetDescriptor()), value, path, message, options);
}

absl::Status ReadField(const JsonValue& value, const JsonPath& path, const FieldDescriptor* field,
                       Message* message, const ParseOptions& options) {
  const TypeInfo& type = InfoOf(message->GetDescriptor());
  return ReadFieldInfo(type.fields[static_cast<std::size_t>(field->index())], value, path, message,
                       options);
}

absl::Status ParseJson(std::string_view json, Message* message, const ParseOptions& options) {
  if (ParseJsonByCodec(json, message, options)) return absl::OkStatus();
  return ParseJsonByReflection(json, message, options);
}

absl::Status ParseJsonByReflection(std::string_view json, Message* message,
                                   const ParseOptions& options) {
  message->Clear();
  JsonDocument document;
  RETURN_IF_ERROR(ParseText(json, options, &document));
  return ReadMessage(document.root(), JsonPath(options.root_path), message, options);
}

absl::Status ParseJsonField(std::string_view json, const FieldDescriptor* field, Message* message,
                            const ParseOptions& options) {
  JsonDocument document;
  RETURN_IF_ERROR(ParseText(json, options, &document));
  return ReadField(document.root(), JsonPath(options.root_path), field, message, options);
}

absl::Status CheckOneof(const Message& message, const FieldDescriptor* field,
                        const JsonPath& path) {
  const auto* oneof = field->containing_oneof();
  if (oneof == nullptr) return absl::OkStatus();
  const auto* other = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (other == nullptr || other == field) return absl::OkStatus();
  return path.Error(
      fmt::format("excludes `{}`: expected one of the two at most", other->json_name()));
}

const FieldDescriptor* FindField(const Descriptor* type, std::string_view name) {
  const FieldInfo* field = InfoOf(type).Find(name);
  return field == nullptr ? nullptr : field->descriptor;
}

bool HasPlainForm(const Descriptor* type) { return !InfoOf(type).HasOwnForm(); }

}  // namespace penstock::protojson
