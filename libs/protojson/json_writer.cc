#include "libs/protojson/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "libs/base/utf8.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/plain_text.h"

namespace penstock::protojson {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Whether a byte can stand in a JSON string as it is, without a look at its neighbours.
constexpr std::array<bool, 256> MakePlainTable() {
  std::array<bool, 256> table{};
  for (std::size_t c = 0x20; c < 0x80; ++c) table[c] = true;
  table['"'] = false;
  table['\\'] = false;
  table[0x7f] = false;
  return table;
}
constexpr std::array<bool, 256> kPlain = MakePlainTable();

bool IsPlain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

void AppendEscaped(char c, std::string* out) {
  switch (c) {
    case '"': *out += "\\\""; return;
    case '\\': *out += "\\\\"; return;
    case '\b': *out += "\\b"; return;
    case '\f': *out += "\\f"; return;
    case '\n': *out += "\\n"; return;
    case '\r': *out += "\\r"; return;
    case '\t': *out += "\\t"; return;
    default: break;
  }
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  *out += "\\u00";
  *out += kHex[byte >> 4];
  *out += kHex[byte & 15];
}

template <typename Number>
void AppendNumber(Number value, std::string& out) {
  char buffer[40];  // the longest shortest form of a double has 24 characters
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, result.ptr);
}

}  // namespace

void AppendJsonString(std::string_view value, std::string* out) {
  out->push_back('"');
  std::size_t begin = 0;  // start of the run that is not written yet
  std::size_t i = PlainPrefix(value);
  while (i < value.size()) {
    if (IsPlain(value[i])) {
      ++i;
      continue;
    }
    const bool ascii = static_cast<unsigned char>(value[i]) < 0x80;
    const std::size_t length = ascii ? 0 : Utf8SequenceLength(value.substr(i));
    if (length > 0) {
      i += length;
      i += PlainPrefix(value.substr(i));
      continue;
    }
    out->append(value.substr(begin, i - begin));
    if (ascii) {
      AppendEscaped(value[i], out);
    } else {
      out->append(kReplacement);
    }
    begin = ++i;
    i += PlainPrefix(value.substr(i));
  }
  out->append(value.substr(begin));
  out->push_back('"');
}

void JsonWriter::NewLine() {
  out_.push_back('\n');
  out_.append(static_cast<std::size_t>(depth_) * 2, ' ');
}

void JsonWriter::BeforeValue() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (depth_ == 0) return;
  if (!first_) out_.push_back(',');
  first_ = false;
  if (pretty_) NewLine();
}

void JsonWriter::Begin(char bracket) {
  BeforeValue();
  out_.push_back(bracket);
  ++depth_;
  first_ = true;
}

void JsonWriter::End(char bracket) {
  --depth_;
  if (pretty_ && !first_) NewLine();
  out_.push_back(bracket);
  first_ = false;
}

void JsonWriter::Key(std::string_view key) {
  BeforeValue();
  AppendJsonString(key, &out_);
  out_.push_back(':');
  if (pretty_) out_.push_back(' ');
  after_key_ = true;
}

void JsonWriter::QuotedKey(std::string_view key_with_colon) {
  BeforeValue();
  out_.append(key_with_colon);
  if (pretty_) out_.push_back(' ');
  after_key_ = true;
}

void JsonWriter::CommaKey(std::string_view key) {
  if (pretty_) return QuotedKey(key.substr(1));
  out_.append(first_ ? key.substr(1) : key);
  first_ = false;
  after_key_ = true;
}

void JsonWriter::PlainString(std::string_view value) {
  BeforeValue();
  out_.push_back('"');
  out_.append(value);
  out_.push_back('"');
}

void JsonWriter::String(std::string_view value) {
  BeforeValue();
  AppendJsonString(value, &out_);
}

void JsonWriter::Base64(std::string_view bytes) {
  BeforeValue();
  out_.push_back('"');
  AppendBase64(bytes, &out_);
  out_.push_back('"');
}

void JsonWriter::Bool(bool value) {
  BeforeValue();
  out_.append(value ? "true" : "false");
}

void JsonWriter::Null() {
  BeforeValue();
  out_.append("null");
}

void JsonWriter::Int(std::int64_t value) {
  BeforeValue();
  AppendNumber(value, out_);
}

void JsonWriter::Uint(std::uint64_t value) {
  BeforeValue();
  AppendNumber(value, out_);
}

void JsonWriter::IntString(std::int64_t value) {
  BeforeValue();
  out_.push_back('"');
  AppendNumber(value, out_);
  out_.push_back('"');
}

void JsonWriter::UintString(std::uint64_t value) {
  BeforeValue();
  out_.push_back('"');
  AppendNumber(value, out_);
  out_.push_back('"');
}

void JsonWriter::Double(double value) {
  BeforeValue();
  if (std::isfinite(value)) {
    AppendNumber(value, out_);
  } else {
    out_.append(std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  }
}

void JsonWriter::Float(float value) {
  if (!std::isfinite(value)) return Double(value);
  BeforeValue();
  AppendNumber(value, out_);
}

void JsonWriter::RawJson(std::string_view json) {
  BeforeValue();
  const auto has = [&](char c) { return std::memchr(json.data(), c, json.size()) != nullptr; };
  if (pretty_ || json.empty() || (!has('\n') && !has('\r'))) {
    out_.append(json);
    return;
  }
  // Outside strings a line break is only white space between tokens, and inside them JSON does not
  // have it.
  for (const char c : json) {
    if (c != '\n' && c != '\r') out_.push_back(c);
  }
}

}  // namespace penstock::protojson
