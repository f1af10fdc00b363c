#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/protojson/any_type.h"
#include "libs/protojson/codec.h"
#include "libs/protojson/codec_parts.h"
#include "libs/protojson/print_well_known.h"
#include "libs/protojson/protojson.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Writes one document. One object a call: not thread-safe.
class Printer {
 public:
  // `depth` messages are open around what is written.
  Printer(const PrintOptions& options, JsonWriter& writer, int depth = 0)
      : options_(options), writer_(writer), depth_(depth) {}

  absl::Status WriteForm(const TypeInfo& type, const Message& message);
  absl::Status WriteField(const FieldInfo& field, const Message& message);

 private:
  absl::Status WriteFields(const TypeInfo& type, const Message& message);
  absl::Status WriteAny(const Message& message);
  absl::Status WriteList(const FieldInfo& field, const Message& message);
  absl::Status WriteMap(const FieldInfo& field, const Message& message);
  absl::Status WriteOne(const FieldInfo& field, const Message& message);
  void WriteEnum(const FieldInfo& field, int number);
  void WriteElement(const FieldInfo& field, const Message& message, int index);
  void WriteString(const FieldInfo& field, const std::string& value);
  bool IsWritten(const TypeInfo& type, const FieldInfo& field, const Message& message) const;

  const PrintOptions& options_;
  JsonWriter& writer_;
  int depth_;
};

bool Printer::IsWritten(const TypeInfo& type, const FieldInfo& field,
                        const Message& message) const {
  const Reflection* reflection = message.GetReflection();
  if (field.descriptor->is_repeated()) {
    if (reflection->FieldSize(message, field.descriptor) > 0) return true;
    return options_.always_print_defaults ||
           (options_.print_empty_lists && field.is_repeated && type.is_list_response);
  }
  if (reflection->HasField(message, field.descriptor)) return true;
  return options_.always_print_defaults && !field.descriptor->has_presence();
}

void Printer::WriteEnum(const FieldInfo& field, int number) {
  if (field.is_null_value) return writer_.Null();
  const auto* value = field.descriptor->enum_type()->FindValueByNumber(number);
  if (value == nullptr) {
    writer_.Int(number);
  } else {
    writer_.String(value->name());
  }
}

void Printer::WriteString(const FieldInfo& field, const std::string& value) {
  if (field.descriptor->type() == FieldDescriptor::TYPE_BYTES) {
    writer_.Base64(value);
  } else {
    writer_.String(value);
  }
}

// A singular field.
absl::Status Printer::WriteOne(const FieldInfo& field, const Message& message) {
  const Reflection* reflection = message.GetReflection();
  const FieldDescriptor* at = field.descriptor;
  switch (at->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: writer_.Int(reflection->GetInt32(message, at)); break;
    case FieldDescriptor::CPPTYPE_UINT32: writer_.Uint(reflection->GetUInt32(message, at)); break;
    case FieldDescriptor::CPPTYPE_INT64:
      writer_.IntString(reflection->GetInt64(message, at));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      writer_.UintString(reflection->GetUInt64(message, at));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE: writer_.Double(reflection->GetDouble(message, at)); break;
    case FieldDescriptor::CPPTYPE_FLOAT: writer_.Float(reflection->GetFloat(message, at)); break;
    case FieldDescriptor::CPPTYPE_BOOL: writer_.Bool(reflection->GetBool(message, at)); break;
    case FieldDescriptor::CPPTYPE_ENUM:
      WriteEnum(field, reflection->GetEnumValue(message, at));
      break;
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      WriteString(field, reflection->GetStringReference(message, at, &scratch));
      break;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return WriteForm(field.type(), reflection->GetMessage(message, at));
  }
  return absl::OkStatus();
}

// An element of a repeated field of scalars.
void Printer::WriteElement(const FieldInfo& field, const Message& message, int index) {
  const Reflection* reflection = message.GetReflection();
  const FieldDescriptor* at = field.descriptor;
  switch (at->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return writer_.Int(reflection->GetRepeatedInt32(message, at, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return writer_.Uint(reflection->GetRepeatedUInt32(message, at, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return writer_.IntString(reflection->GetRepeatedInt64(message, at, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return writer_.UintString(reflection->GetRepeatedUInt64(message, at, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return writer_.Double(reflection->GetRepeatedDouble(message, at, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return writer_.Float(reflection->GetRepeatedFloat(message, at, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return writer_.Bool(reflection->GetRepeatedBool(message, at, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return WriteEnum(field, reflection->GetRepeatedEnumValue(message, at, index));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      return WriteString(field,
                         reflection->GetRepeatedStringReference(message, at, index, &scratch));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: return;
  }
}

absl::Status Printer::WriteList(const FieldInfo& field, const Message& message) {
  const Reflection* reflection = message.GetReflection();
  const int size = reflection->FieldSize(message, field.descriptor);
  writer_.BeginArray();
  for (int i = 0; i < size; ++i) {
    if (field.is_message) {
      RETURN_IF_ERROR(
          WriteForm(field.type(), reflection->GetRepeatedMessage(message, field.descriptor, i)));
    } else {
      WriteElement(field, message, i);
    }
  }
  writer_.EndArray();
  return absl::OkStatus();
}

std::string KeyText(const FieldDescriptor* key, const Message& entry) {
  const Reflection* reflection = entry.GetReflection();
  switch (key->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return std::to_string(reflection->GetInt32(entry, key));
    case FieldDescriptor::CPPTYPE_UINT32: return std::to_string(reflection->GetUInt32(entry, key));
    case FieldDescriptor::CPPTYPE_INT64: return std::to_string(reflection->GetInt64(entry, key));
    case FieldDescriptor::CPPTYPE_UINT64: return std::to_string(reflection->GetUInt64(entry, key));
    case FieldDescriptor::CPPTYPE_BOOL: return reflection->GetBool(entry, key) ? "true" : "false";
    default: return reflection->GetString(entry, key);
  }
}

absl::Status Printer::WriteMap(const FieldInfo& field, const Message& message) {
  const Reflection* reflection = message.GetReflection();
  const TypeInfo& entry_type = field.type();
  const int size = reflection->FieldSize(message, field.descriptor);
  std::vector<std::pair<std::string, const Message*>> entries;
  entries.reserve(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field.descriptor, i);
    entries.emplace_back(KeyText(entry_type.fields[0].descriptor, entry), &entry);
  }
  std::sort(entries.begin(), entries.end());
  writer_.BeginObject();
  for (const auto& [key, entry] : entries) {
    writer_.Key(key);
    RETURN_IF_ERROR(WriteOne(entry_type.fields[1], *entry));
  }
  writer_.EndObject();
  return absl::OkStatus();
}

absl::Status Printer::WriteField(const FieldInfo& field, const Message& message) {
  if (field.is_map) return WriteMap(field, message);
  if (field.is_repeated) return WriteList(field, message);
  return WriteOne(field, message);
}

absl::Status Printer::WriteFields(const TypeInfo& type, const Message& message) {
  for (const FieldInfo& field : type.fields) {
    if (!IsWritten(type, field, message)) continue;
    writer_.QuotedKey(field.quoted_key);
    RETURN_IF_ERROR(WriteField(field, message));
  }
  return absl::OkStatus();
}

absl::Status Printer::WriteAny(const Message& message) {
  const AnyParts any = PartsOfAny(message);
  writer_.BeginObject();
  if (!any.type_url.empty() || !any.value.empty()) {
    const std::unique_ptr<Message> content = NewContent(message, any.type_url);
    if (content == nullptr) {
      return NoJsonForm(InfoOf(message.GetDescriptor()), "unknown type " + any.type_url);
    }
    if (!content->ParsePartialFromString(any.value)) {
      return NoJsonForm(InfoOf(message.GetDescriptor()), "malformed " + any.type_url);
    }
    const TypeInfo& type = InfoOf(content->GetDescriptor());
    writer_.Key("@type");
    writer_.String(any.type_url);
    if (type.HasOwnForm()) {
      writer_.Key("value");
      RETURN_IF_ERROR(WriteForm(type, *content));
    } else {
      RETURN_IF_ERROR(WriteFields(type, *content));
    }
  }
  writer_.EndObject();
  return absl::OkStatus();
}

absl::Status Printer::WriteForm(const TypeInfo& type, const Message& message) {
  if (const JsonHook* hook = type.hook.load(std::memory_order_acquire)) {
    return hook->write(message, writer_);
  }
  if (++depth_ > kMaxMessageDepth) return NoJsonForm(type, "nested too deeply");
  absl::Status status;
  switch (type.form) {
    case Form::kPlain:
      writer_.BeginObject();
      status = WriteFields(type, message);
      writer_.EndObject();
      break;
    case Form::kWrapper: status = WriteOne(type.fields[0], message); break;
    case Form::kAny: status = WriteAny(message); break;
    default: status = WriteWellKnown(type, message, writer_); break;
  }
  --depth_;
  return status;
}

}  // namespace

absl::Status WriteByReflection(const TypeInfo& type, const Message& message,
                               const PrintOptions& options, JsonWriter& writer, int depth) {
  return Printer(options, writer, depth).WriteForm(type, message);
}

absl::Status AppendJsonByReflection(const Message& message, std::string* out,
                                    const PrintOptions& options) {
  JsonWriter writer(out, options.pretty);
  return Printer(options, writer).WriteForm(InfoOf(message.GetDescriptor()), message);
}

absl::Status AppendJson(const Message& message, std::string* out, const PrintOptions& options) {
  if (AppendJsonByCodec(message, out, options)) return absl::OkStatus();
  return AppendJsonByReflection(message, out, options);
}

absl::StatusOr<std::string> PrintJson(const Message& message, const PrintOptions& options) {
  std::string out;
  RETURN_IF_ERROR(AppendJson(message, &out, options));
  return out;
}

absl::StatusOr<std::string> PrintJsonField(const Message& message, const FieldDescriptor* field,
                                           const PrintOptions& options) {
  std::string out;
  const TypeInfo& type = InfoOf(message.GetDescriptor());
  JsonWriter writer(&out, options.pretty);
  RETURN_IF_ERROR(Printer(options, writer)
                      .WriteField(type.fields[static_cast<std::size_t>(field->index())], message));
  return out;
}

}  // namespace penstock::protojson
