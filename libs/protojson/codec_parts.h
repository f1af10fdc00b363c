// What generated codecs are put together from. Only code that tools/protoc-gen-penstock writes
// includes this.
#pragma once

#include <google/protobuf/message.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "libs/protojson/codec.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {

// Writes `message` of `type` into a text that has `depth` messages open, by reflection.
absl::Status WriteByReflection(const TypeInfo& type, const google::protobuf::Message& message,
                               const PrintOptions& options, JsonWriter& writer, int depth);

}  // namespace penstock::protojson

namespace penstock::protojson::codec {

// What is known about a generated message type, looked up once.
template <typename Type>
const TypeInfo& InfoOfType() {
  static const TypeInfo& info = InfoOf(Type::descriptor());
  return info;
}

// Which of `kCount` fields an object has named already.
template <int kCount>
class SeenFields {
 public:
  // False when the field was marked before.
  bool Mark(int index) {
    std::uint64_t& word = words_[index / 64];
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }

 private:
  std::uint64_t words_[(kCount + 64) / 64] = {};
};

// Reading. Every Read takes one value, as scalar.h's StoreScalar does; false, and `in` has failed,
// when the value is not one of the type.
bool Read(JsonReader& in, std::int32_t* value);
bool Read(JsonReader& in, std::int64_t* value);
bool Read(JsonReader& in, std::uint32_t* value);
bool Read(JsonReader& in, std::uint64_t* value);
bool Read(JsonReader& in, float* value);
bool Read(JsonReader& in, double* value);
bool Read(JsonReader& in, bool* value);
bool Read(JsonReader& in, std::string* value);
bool ReadBytes(JsonReader& in, std::string* value);

// The number of an enum value by its name, or false.
using EnumByName = bool (*)(std::string_view name, int* number);
// Reads an enum value. `known` is false for a name that is unknown and to be ignored: it sets
// nothing.
bool ReadEnum(JsonReader& in, EnumByName by_name, int* number, bool* known);

// Reads a google.protobuf.NullValue, null included.
bool ReadNullValue(JsonReader& in, EnumByName by_name, int* number, bool* known);

// Map keys.
bool ReadKey(std::string_view text, std::int32_t* key);
bool ReadKey(std::string_view text, std::int64_t* key);
bool ReadKey(std::string_view text, std::uint32_t* key);
bool ReadKey(std::string_view text, std::uint64_t* key);
bool ReadKey(std::string_view text, bool* key);
bool ReadKey(std::string_view text, std::string* key);

// Plain text, as SetFieldFromText takes it for a singular field.
template <typename Number>
bool ReadText(std::string_view text, Number* value) {
  return ReadKey(text, value);
}
bool ReadText(std::string_view text, float* value);
bool ReadText(std::string_view text, double* value);
bool ReadText(std::string_view text, std::string* value);
bool ReadBytesText(std::string_view text, std::string* value);
bool ReadEnumText(std::string_view text, EnumByName by_name, int* number);
bool ReadChildText(const TypeInfo& type, std::string_view text, google::protobuf::Message* message);
template <typename Type>
bool ReadMessageText(std::string_view text, Type* message) {
  return ReadChildText(InfoOfType<Type>(), text, message);
}

// A message, in whatever form its type has.
bool ReadChild(const TypeInfo& type, JsonReader& in, google::protobuf::Message* message);
template <typename Type>
bool ReadMessage(JsonReader& in, Type* message) {
  return ReadChild(InfoOfType<Type>(), in, message);
}

// A whole JSON text into an empty message.
template <typename Type>
bool ReadDocument(std::string_view json, Type* message) {
  JsonReader in(json);
  return ReadMessage(in, message) && in.AtEnd();
}

// An unknown member: skipped when that is wanted.
inline bool SkipUnknown(JsonReader& in) {
  return in.ignore_unknown_fields() ? in.Skip() : in.Fail();
}

// Whether a field without presence has another value than the default. -0.0 is one.
inline bool IsSet(float value) { return std::bit_cast<std::uint32_t>(value) != 0; }
inline bool IsSet(double value) { return std::bit_cast<std::uint64_t>(value) != 0; }
inline bool IsSet(const std::string& value) { return !value.empty(); }
template <typename Integer>
bool IsSet(Integer value) {
  return value != 0;
}

// Writing.
inline void Write(std::int32_t value, CodecOutput& out) { out.json.Int(value); }
inline void Write(std::int64_t value, CodecOutput& out) { out.json.IntString(value); }
inline void Write(std::uint32_t value, CodecOutput& out) { out.json.Uint(value); }
inline void Write(std::uint64_t value, CodecOutput& out) { out.json.UintString(value); }
inline void Write(float value, CodecOutput& out) { out.json.Float(value); }
inline void Write(double value, CodecOutput& out) { out.json.Double(value); }
inline void Write(bool value, CodecOutput& out) { out.json.Bool(value); }
inline void Write(const std::string& value, CodecOutput& out) { out.json.String(value); }
inline void WriteBytes(const std::string& value, CodecOutput& out) { out.json.Base64(value); }

// An enum value: `name` is empty for a number without a name.
inline void WriteEnum(std::string_view name, int number, CodecOutput& out) {
  if (name.empty()) {
    out.json.Int(number);
  } else {
    out.json.PlainString(name);
  }
}

// A message, in whatever form its type has. False when it has none, or is nested too deeply.
bool WriteChild(const TypeInfo& type, const google::protobuf::Message& message, CodecOutput& out);
template <typename Type>
bool WriteMessage(const Type& message, CodecOutput& out) {
  return WriteChild(InfoOfType<Type>(), message, out);
}

// The text of a map key.
inline std::string_view KeyText(const std::string& key) { return key; }
inline std::string KeyText(bool key) { return key ? "true" : "false"; }
template <typename Integer>
std::string KeyText(Integer key) {
  return std::to_string(key);
}

// Writes a map, its entries sorted by the text of their keys; `write_value` returns false to give
// up.
template <typename Map, typename WriteValue>
bool WriteMap(const Map& map, CodecOutput& out, WriteValue write_value) {
  using Text = decltype(KeyText(map.begin()->first));
  absl::InlinedVector<std::pair<Text, const typename Map::mapped_type*>, 8> entries;
  entries.reserve(map.size());
  for (const auto& entry : map) entries.emplace_back(KeyText(entry.first), &entry.second);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  out.json.BeginObject();
  for (const auto& [key, value] : entries) {
    out.json.Key(key);
    if (!write_value(*value)) return false;
  }
  out.json.EndObject();
  return true;
}

}  // namespace penstock::protojson::codec
