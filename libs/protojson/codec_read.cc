#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "libs/base/utf8.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/codec_parts.h"
#include "libs/protojson/numbers.h"
#include "libs/protojson/read_well_known.h"
#include "libs/protojson/time_text.h"

namespace penstock::protojson::codec {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::Value;

// The digits of a number, plain or in a string.
bool NumberText(JsonReader& in, std::string_view* text) {
  return in.Peek() == '"' ? in.String(text) : in.Number(text);
}

template <typename Number>
bool ReadNumber(JsonReader& in, NumberResult (*parse)(std::string_view, Number*), Number* value) {
  std::string_view text;
  if (!NumberText(in, &text)) return false;
  return parse(text, value) == NumberResult::kOk || in.Fail();
}

bool ReadStruct(JsonReader& in, Struct* fields);
bool ReadList(JsonReader& in, ListValue* list);

bool ReadValue(JsonReader& in, Value* value) {
  switch (in.Peek()) {
    case 'n': value->set_null_value(google::protobuf::NULL_VALUE); return in.TakeNull();
    case 't':
    case 'f': {
      bool flag;
      if (!in.Bool(&flag)) return false;
      value->set_bool_value(flag);
      return true;
    }
    case '"': return Read(in, value->mutable_string_value());
    case '[': return ReadList(in, value->mutable_list_value());
    case '{': return ReadStruct(in, value->mutable_struct_value());
    default: {
      std::string_view digits;
      double number = 0;
      if (!in.Number(&digits)) return false;
      if (ParseDouble(digits, &number) != NumberResult::kOk) return in.Fail();
      value->set_number_value(number);
      return true;
    }
  }
}

bool ReadList(JsonReader& in, ListValue* list) {
  if (!in.BeginArray()) return false;
  while (in.NextElement()) {
    if (!ReadValue(in, list->add_values())) return false;
  }
  return !in.failed();
}

bool ReadStruct(JsonReader& in, Struct* fields) {
  if (!in.BeginObject()) return false;
  std::string_view key;
  while (in.NextKey(&key)) {
    const auto [entry, is_new] = fields->mutable_fields()->try_emplace(std::string(key));
    if (!is_new) return in.Fail();
    if (!ReadValue(in, &entry->second)) return false;
  }
  return !in.failed();
}

template <typename Wrapper>
bool ReadWrapperOf(JsonReader& in, Message* message) {
  decltype(std::declval<Wrapper>().value()) scalar{};
  if (!Read(in, &scalar)) return false;
  static_cast<Wrapper*>(message)->set_value(scalar);
  return true;
}

bool ReadWrapper(const TypeInfo& type, JsonReader& in, Message* message) {
  using google::protobuf::Descriptor;
  switch (type.descriptor->well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
      return ReadWrapperOf<google::protobuf::DoubleValue>(in, message);
    case Descriptor::WELLKNOWNTYPE_FLOATVALUE:
      return ReadWrapperOf<google::protobuf::FloatValue>(in, message);
    case Descriptor::WELLKNOWNTYPE_INT64VALUE:
      return ReadWrapperOf<google::protobuf::Int64Value>(in, message);
    case Descriptor::WELLKNOWNTYPE_UINT64VALUE:
      return ReadWrapperOf<google::protobuf::UInt64Value>(in, message);
    case Descriptor::WELLKNOWNTYPE_INT32VALUE:
      return ReadWrapperOf<google::protobuf::Int32Value>(in, message);
    case Descriptor::WELLKNOWNTYPE_UINT32VALUE:
      return ReadWrapperOf<google::protobuf::UInt32Value>(in, message);
    case Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      return ReadWrapperOf<google::protobuf::BoolValue>(in, message);
    case Descriptor::WELLKNOWNTYPE_STRINGVALUE:
      return Read(in, static_cast<google::protobuf::StringValue*>(message)->mutable_value());
    case Descriptor::WELLKNOWNTYPE_BYTESVALUE:
      return ReadBytes(in, static_cast<google::protobuf::BytesValue*>(message)->mutable_value());
    default: return in.Fail();
  }
}

// Reads a value by reflection: hooks, Any, types without a codec.
bool ReadByTree(JsonReader& in, Message* message) {
  std::string_view json;
  const int depth_left = in.depth_left();
  // A null is an error of its own in places that only the reflection path knows.
  if (in.Peek() == 'n' || !in.Raw(&json)) return in.Fail();
  JsonDocument document;
  const ParseOptions options{.ignore_unknown_fields = in.ignore_unknown_fields()};
  if (!document.Parse(json, depth_left).ok()) return in.Fail();
  return protojson::ReadMessage(document.root(), JsonPath(), message, options).ok() || in.Fail();
}

}  // namespace

bool Read(JsonReader& in, std::int32_t* value) { return ReadNumber(in, &ParseInt32, value); }
bool Read(JsonReader& in, std::int64_t* value) { return ReadNumber(in, &ParseInt64, value); }
bool Read(JsonReader& in, std::uint32_t* value) { return ReadNumber(in, &ParseUint32, value); }
bool Read(JsonReader& in, std::uint64_t* value) { return ReadNumber(in, &ParseUint64, value); }
bool Read(JsonReader& in, float* value) { return ReadNumber(in, &ParseFloatText, value); }
bool Read(JsonReader& in, double* value) { return ReadNumber(in, &ParseDoubleText, value); }
bool Read(JsonReader& in, bool* value) { return in.Bool(value); }

bool Read(JsonReader& in, std::string* value) {
  std::string_view text;
  if (!in.String(&text)) return false;
  value->assign(text);
  return true;
}

bool ReadBytes(JsonReader& in, std::string* value) {
  std::string_view text;
  if (!in.String(&text)) return false;
  value->clear();
  return DecodeBase64(text, value) || in.Fail();
}

bool ReadEnum(JsonReader& in, EnumByName by_name, int* number, bool* known) {
  std::string_view text;
  *known = true;
  if (in.Peek() == '"') {
    if (!in.String(&text)) return false;
    if (by_name(text, number)) return true;
    *known = false;
    return in.ignore_unknown_fields() || in.Fail();
  }
  std::int32_t value;
  if (!in.Number(&text)) return false;
  if (ParseInt32(text, &value) != NumberResult::kOk) return in.Fail();
  *number = value;  // proto3 enums are open: an unknown number is kept
  return true;
}

bool ReadNullValue(JsonReader& in, EnumByName by_name, int* number, bool* known) {
  if (!in.TakeNull()) return ReadEnum(in, by_name, number, known);
  *number = 0;
  *known = true;
  return true;
}

bool ReadKey(std::string_view text, std::int32_t* key) {
  return ParseInt32(text, key) == NumberResult::kOk;
}
bool ReadKey(std::string_view text, std::int64_t* key) {
  return ParseInt64(text, key) == NumberResult::kOk;
}
bool ReadKey(std::string_view text, std::uint32_t* key) {
  return ParseUint32(text, key) == NumberResult::kOk;
}
bool ReadKey(std::string_view text, std::uint64_t* key) {
  return ParseUint64(text, key) == NumberResult::kOk;
}
bool ReadKey(std::string_view text, bool* key) {
  *key = text == "true";
  return *key || text == "false";
}
bool ReadKey(std::string_view text, std::string* key) {
  key->assign(text);
  return true;
}

bool ReadText(std::string_view text, float* value) {
  return ParseFloatText(text, value) == NumberResult::kOk;
}
bool ReadText(std::string_view text, double* value) {
  return ParseDoubleText(text, value) == NumberResult::kOk;
}
bool ReadText(std::string_view text, std::string* value) {
  if (!IsValidUtf8(text)) return false;
  value->assign(text);
  return true;
}
bool ReadBytesText(std::string_view text, std::string* value) {
  value->clear();
  return DecodeBase64(text, value);
}
bool ReadEnumText(std::string_view text, EnumByName by_name, int* number) {
  if (!IsJsonNumber(text)) return by_name(text, number);
  std::int32_t value;
  if (ParseInt32(text, &value) != NumberResult::kOk) return false;
  *number = value;
  return true;
}
bool ReadChildText(const TypeInfo& type, std::string_view text, Message* message) {
  return HasTextForm(type) && ReadTextForm(type, text, JsonPath(), message).ok();
}

bool ReadChild(const TypeInfo& type, JsonReader& in, Message* message) {
  if (type.hook.load(std::memory_order_acquire) != nullptr) return ReadByTree(in, message);
  std::string_view text;
  switch (type.form) {
    case Form::kPlain:
      if (const JsonCodec* codec = type.codec.load(std::memory_order_acquire)) {
        return codec->read(in, message);
      }
      return ReadByTree(in, message);
    case Form::kTimestamp:
      if (!in.String(&text)) return false;
      return ParseTimestampText(text, static_cast<google::protobuf::Timestamp*>(message)) ||
             in.Fail();
    case Form::kDuration:
      if (!in.String(&text)) return false;
      return ParseDurationText(text, static_cast<google::protobuf::Duration*>(message)) ||
             in.Fail();
    case Form::kFieldMask:
      if (!in.String(&text)) return false;
      return ReadTextForm(type, text, JsonPath(), message).ok() || in.Fail();
    case Form::kStruct: return ReadStruct(in, static_cast<Struct*>(message));
    case Form::kValue: return ReadValue(in, static_cast<Value*>(message));
    case Form::kListValue: return ReadList(in, static_cast<ListValue*>(message));
    case Form::kWrapper: return ReadWrapper(type, in, message);
    case Form::kAny: return ReadByTree(in, message);
  }
  return in.Fail();
}

}  // namespace penstock::protojson::codec
