// Appends JSON text to a string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::protojson {

// Writes one JSON value by calls in document order; puts commas, and line breaks when pretty.
// Does not check that keys and values alternate: that is the caller's part. Not thread-safe.
class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer. `pretty` indents by two spaces.
  explicit JsonWriter(std::string* out, bool pretty = false) : out_(*out), pretty_(pretty) {}

  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  // A member's name, escaped.
  void Key(std::string_view key);
  // A member's name given as `"name":`, quotes and colon included and already escaped.
  void QuotedKey(std::string_view key_with_colon);

  // Like QuotedKey, with a comma before: `,"name":`. The comma is dropped where none is due.
  void CommaKey(std::string_view key);

  // A string of printable ASCII without quotes and backslashes.
  void PlainString(std::string_view value);
  // A string. Bytes that are not UTF-8 become U+FFFD.
  void String(std::string_view value);
  // Bytes as base64 with padding.
  void Base64(std::string_view bytes);
  void Bool(bool value);
  void Null();
  // Numbers as JSON numbers.
  void Int(std::int64_t value);
  void Uint(std::uint64_t value);
  // Numbers as JSON strings, as the proto3 mapping has 64-bit integers.
  void IntString(std::int64_t value);
  void UintString(std::uint64_t value);
  // The shortest text that reads back to the same value; "NaN", "Infinity" and "-Infinity" as
  // strings.
  void Double(double value);
  void Float(float value);
  // A value that is JSON text already. Unless pretty, its line breaks are dropped, so that what is
  // written stays one line.
  void RawJson(std::string_view json);

  bool pretty() const { return pretty_; }

 private:
  void Begin(char bracket);
  void End(char bracket);
  void BeforeValue();
  void NewLine();

  std::string& out_;
  const bool pretty_;
  bool first_ = true;       // nothing written yet in the innermost container
  bool after_key_ = false;  // the next value belongs to a key
  int depth_ = 0;
};

// Appends `value` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view value, std::string* out);

}  // namespace penstock::protojson
