#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <string>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/numbers.h"
#include "libs/protojson/protojson.h"
#include "libs/protojson/read_well_known.h"
#include "libs/protojson/scalar.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxListedEnumValues = 16;

// Sets a singular field or appends to a repeated one.
class Sink {
 public:
  Sink(const FieldDescriptor* field, Message* message)
      : field_(field), message_(message), reflection_(message->GetReflection()) {}

#define PENSTOCK_SINK(Name, Type)                      \
  void Store(Type value) {                             \
    if (field_->is_repeated()) {                       \
      reflection_->Add##Name(message_, field_, value); \
    } else {                                           \
      reflection_->Set##Name(message_, field_, value); \
    }                                                  \
  }
  PENSTOCK_SINK(Int32, std::int32_t)
  PENSTOCK_SINK(Int64, std::int64_t)
  PENSTOCK_SINK(UInt32, std::uint32_t)
  PENSTOCK_SINK(UInt64, std::uint64_t)
  PENSTOCK_SINK(Double, double)
  PENSTOCK_SINK(Float, float)
  PENSTOCK_SINK(Bool, bool)
#undef PENSTOCK_SINK

  void Store(std::string value) {
    if (field_->is_repeated()) {
      reflection_->AddString(message_, field_, std::move(value));
    } else {
      reflection_->SetString(message_, field_, std::move(value));
    }
  }
  void StoreEnum(int number) {
    if (field_->is_repeated()) {
      reflection_->AddEnumValue(message_, field_, number);
    } else {
      reflection_->SetEnumValue(message_, field_, number);
    }
  }

 private:
  const FieldDescriptor* field_;
  Message* message_;
  const google::protobuf::Reflection* reflection_;
};

template <typename Integer>
absl::Status IntegerError(const JsonPath& path, NumberResult result) {
  using Limits = std::numeric_limits<Integer>;
  if (result == NumberResult::kOutOfRange) {
    return path.Error(
        fmt::format("expected an integer from {} to {}", Limits::min(), Limits::max()));
  }
  return path.Error(result == NumberResult::kNotInteger
                        ? "expected an integer, got a number with a fraction"
                        : "expected an integer, in digits");
}

template <typename Integer>
absl::Status StoreInteger(std::string_view text, const JsonPath& path, Sink sink,
                          NumberResult (*parse)(std::string_view, Integer*)) {
  Integer number;
  const NumberResult result = parse(text, &number);
  if (result != NumberResult::kOk) return IntegerError<Integer>(path, result);
  sink.Store(number);
  return absl::OkStatus();
}

template <typename Float>
absl::Status StoreFloating(std::string_view text, const JsonPath& path, Sink sink,
                           NumberResult (*parse)(std::string_view, Float*)) {
  Float number = 0;
  const NumberResult result = parse(text, &number);
  if (result == NumberResult::kOutOfRange) {
    return path.Error(fmt::format("expected a number of magnitude at most {}",
                                  std::numeric_limits<Float>::max()));
  }
  if (result != NumberResult::kOk) {
    return path.Error("expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
  }
  sink.Store(number);
  return absl::OkStatus();
}

absl::Status EnumError(const JsonPath& path, const EnumDescriptor* type) {
  std::string names;
  for (int i = 0; i < type->value_count() && i < kMaxListedEnumValues; ++i) {
    fmt::format_to(std::back_inserter(names), "{}{}", i == 0 ? "" : ", ", type->value(i)->name());
  }
  if (type->value_count() > kMaxListedEnumValues) names += ", …";
  return path.Error(fmt::format("expected one of {}", names));
}

absl::Status StoreEnumName(std::string_view name, const JsonPath& path, bool ignore_unknown,
                           const FieldDescriptor* field, Sink sink) {
  const auto* value = field->enum_type()->FindValueByName(std::string(name));
  if (value == nullptr) {
    return ignore_unknown ? absl::OkStatus() : EnumError(path, field->enum_type());
  }
  sink.StoreEnum(value->number());
  return absl::OkStatus();
}

absl::Status StoreEnumNumber(std::string_view digits, const JsonPath& path,
                             const FieldDescriptor* field, Sink sink) {
  std::int32_t number;
  if (ParseInt32(digits, &number) != NumberResult::kOk) return EnumError(path, field->enum_type());
  sink.StoreEnum(number);  // proto3 enums are open: an unknown number is kept
  return absl::OkStatus();
}

absl::Status StoreBytes(std::string_view text, const JsonPath& path, Sink sink) {
  std::string bytes;
  if (!DecodeBase64(text, &bytes)) return path.Error("expected bytes in base64");
  sink.Store(std::move(bytes));
  return absl::OkStatus();
}

// Numbers are the same in digits and in a string.
absl::Status StoreNumber(std::string_view text, const JsonPath& path, const FieldDescriptor* field,
                         Sink sink) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return StoreInteger(text, path, sink, &ParseInt32);
    case FieldDescriptor::CPPTYPE_UINT32: return StoreInteger(text, path, sink, &ParseUint32);
    case FieldDescriptor::CPPTYPE_INT64: return StoreInteger(text, path, sink, &ParseInt64);
    case FieldDescriptor::CPPTYPE_UINT64: return StoreInteger(text, path, sink, &ParseUint64);
    case FieldDescriptor::CPPTYPE_DOUBLE: return StoreFloating(text, path, sink, &ParseDoubleText);
    case FieldDescriptor::CPPTYPE_FLOAT: return StoreFloating(text, path, sink, &ParseFloatText);
    default: return absl::InternalError("not a number field: " + field->full_name());
  }
}

}  // namespace

absl::Status ExpectedError(const JsonPath& path, std::string_view what, const JsonValue& value) {
  return path.Error(fmt::format("expected {}, got {}", what, KindName(value.kind())));
}

absl::Status StoreScalar(const JsonValue& value, const JsonPath& path, bool ignore_unknown_enum,
                         const FieldDescriptor* field, Message* message) {
  const Sink sink(field, message);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!value.is_bool()) return ExpectedError(path, "true or false", value);
      Sink(sink).Store(value.boolean());
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_STRING:
      if (!value.is_string()) return ExpectedError(path, "a string", value);
      if (field->type() == FieldDescriptor::TYPE_BYTES) {
        return StoreBytes(value.text(), path, sink);
      }
      Sink(sink).Store(std::string(value.text()));
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM:
      if (value.is_string()) {
        return StoreEnumName(value.text(), path, ignore_unknown_enum, field, sink);
      }
      if (value.is_number()) return StoreEnumNumber(value.text(), path, field, sink);
      return ExpectedError(path, "the name of an enum value", value);
    default:
      if (!value.is_number() && !value.is_string()) {
        return ExpectedError(path, "a number", value);
      }
      return StoreNumber(value.text(), path, field, sink);
  }
}

absl::Status StoreScalarText(std::string_view text, const JsonPath& path,
                             const FieldDescriptor* field, Message* message) {
  Sink sink(field, message);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return path.Error("expected true or false");
      sink.Store(text == "true");
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_STRING:
      if (field->type() == FieldDescriptor::TYPE_BYTES) return StoreBytes(text, path, sink);
      if (!IsValidUtf8(text)) return path.Error("expected text in UTF-8");
      sink.Store(std::string(text));
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM:
      if (IsJsonNumber(text)) return StoreEnumNumber(text, path, field, sink);
      return StoreEnumName(text, path, false, field, sink);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return absl::InternalError("not a scalar field: " + field->full_name());
    default: return StoreNumber(text, path, field, sink);
  }
}

absl::Status SetFieldFromText(std::string_view text, const JsonPath& path,
                              const FieldDescriptor* field, Message* message) {
  if (field->is_map()) return path.Error("a map needs a key, as in name.key=value");
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return StoreScalarText(text, path, field, message);
  }
  const TypeInfo& type = InfoOf(field->message_type());
  if (!HasTextForm(type)) return path.Error("is a message: set its fields one by one");
  const auto* reflection = message->GetReflection();
  Message* value = field->is_repeated() ? reflection->AddMessage(message, field)
                                        : reflection->MutableMessage(message, field);
  return ReadTextForm(type, text, path, value);
}

absl::Status SetMapEntryFromText(std::string_view key, std::string_view text, const JsonPath& path,
                                 const FieldDescriptor* field, Message* message) {
  if (!field->is_map()) return path.Error("is not a map");
  const FieldDescriptor* value_field = field->message_type()->map_value();
  if (value_field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
      !HasTextForm(InfoOf(value_field->message_type()))) {
    return path.Error("is a map of messages, which has no text form");
  }
  const auto* reflection = message->GetReflection();
  Message* entry = reflection->AddMessage(message, field);
  const FieldDescriptor* key_field = field->message_type()->map_key();
  RETURN_IF_ERROR(StoreScalarText(key, path, key_field, entry));
  return SetFieldFromText(text, path, value_field, entry);
}

}  // namespace penstock::protojson
