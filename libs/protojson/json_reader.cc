#include "libs/protojson/json_reader.h"

#include <cstring>

#include "libs/base/utf8.h"
#include "libs/protojson/numbers.h"
#include "libs/protojson/plain_text.h"

namespace penstock::protojson {
namespace {

// Longer numbers are left to the reflection path. Boost.JSON refuses exponents that overflow an
// int, which the exact parsers of numbers.h may take; the limit keeps far away from that.
constexpr std::size_t kMaxNumberSize = 64;
constexpr std::size_t kMaxExponentSize = 4;

bool IsNumberCharacter(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

void AppendUtf8(unsigned code, std::string* out) {
  const auto put = [out](unsigned byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

}  // namespace

char JsonReader::Peek() {
  SkipSpace();
  return cursor_ == end_ || failed_ ? '\0' : *cursor_;
}

bool JsonReader::Literal(std::string_view word) {
  if (failed_ || static_cast<std::size_t>(end_ - cursor_) < word.size() ||
      std::memcmp(cursor_, word.data(), word.size()) != 0) {
    return Fail();
  }
  cursor_ += word.size();
  return true;
}

bool JsonReader::TakeNull() { return Peek() == 'n' && Literal("null"); }

bool JsonReader::Open(char bracket) {
  if (Peek() != bracket || depth_left_ <= 0) return Fail();
  ++cursor_;
  --depth_left_;
  first_ = true;
  return true;
}

bool JsonReader::BeginObject() { return Open('{'); }
bool JsonReader::BeginArray() { return Open('['); }

bool JsonReader::Next(char closing) {
  const char c = Peek();
  if (c == closing) {
    ++cursor_;
    ++depth_left_;
    first_ = false;
    return false;
  }
  if (first_) {
    first_ = false;
    return c != '\0' || Fail();
  }
  if (c != ',') return Fail();
  ++cursor_;
  return true;
}

bool JsonReader::NextElement() { return Next(']'); }

bool JsonReader::NextKey(std::string_view* key) {
  if (!Next('}') || !String(key)) return false;
  if (Peek() != ':') return Fail();
  ++cursor_;
  return true;
}

bool JsonReader::ScanPlain() {
  for (;;) {
    cursor_ += PlainPrefix({cursor_, static_cast<std::size_t>(end_ - cursor_)});
    while (cursor_ != end_) {
      const auto c = static_cast<unsigned char>(*cursor_);
      if (c >= 0x80) break;
      if (c == '"' || c == '\\') return true;
      if (c < 0x20) return Fail();
      ++cursor_;
    }
    if (cursor_ == end_) return Fail();
    while (cursor_ != end_ && static_cast<unsigned char>(*cursor_) >= 0x80) {
      const std::size_t length =
          Utf8SequenceLength({cursor_, static_cast<std::size_t>(end_ - cursor_)});
      if (length == 0) return Fail();
      cursor_ += length;
    }
  }
}

bool JsonReader::String(std::string_view* value) {
  if (Peek() != '"') return Fail();
  const char* start = ++cursor_;
  if (!ScanPlain()) return false;
  if (*cursor_ == '\\') return DecodeString(start, value);
  *value = {start, static_cast<std::size_t>(cursor_ - start)};
  ++cursor_;
  return true;
}

bool JsonReader::DecodeString(const char* start, std::string_view* value) {
  decoded_.assign(start, cursor_);
  while (*cursor_ == '\\') {
    ++cursor_;
    if (!DecodeEscape()) return false;
    start = cursor_;
    if (!ScanPlain()) return false;
    decoded_.append(start, cursor_);
  }
  ++cursor_;
  *value = decoded_;
  return true;
}

bool JsonReader::HexDigits(unsigned* unit) {
  if (end_ - cursor_ < 4) return Fail();
  *unit = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = *cursor_++;
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A') + 10;
    } else {
      return Fail();
    }
    *unit = *unit << 4 | digit;
  }
  return true;
}

bool JsonReader::DecodeEscape() {
  if (cursor_ == end_) return Fail();
  switch (*cursor_++) {
    case '"': decoded_ += '"'; return true;
    case '\\': decoded_ += '\\'; return true;
    case '/': decoded_ += '/'; return true;
    case 'b': decoded_ += '\b'; return true;
    case 'f': decoded_ += '\f'; return true;
    case 'n': decoded_ += '\n'; return true;
    case 'r': decoded_ += '\r'; return true;
    case 't': decoded_ += '\t'; return true;
    case 'u': break;
    default: return Fail();
  }
  unsigned code;
  if (!HexDigits(&code)) return false;
  if (code >= 0xdc00 && code < 0xe000) return Fail();  // the second half of a pair, alone
  if (code >= 0xd800 && code < 0xdc00) {
    unsigned low;
    if (!Literal("\\u") || !HexDigits(&low)) return false;
    if (low < 0xdc00 || low >= 0xe000) return Fail();
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  AppendUtf8(code, &decoded_);
  return true;
}

bool JsonReader::Number(std::string_view* digits) {
  const char first = Peek();
  if (first != '-' && (first < '0' || first > '9')) return Fail();
  const char* start = cursor_;
  const char* exponent = nullptr;
  for (; cursor_ != end_ && IsNumberCharacter(*cursor_); ++cursor_) {
    if (*cursor_ == 'e' || *cursor_ == 'E') exponent = cursor_ + 1;
  }
  *digits = {start, static_cast<std::size_t>(cursor_ - start)};
  if (digits->size() > kMaxNumberSize ||
      (exponent != nullptr && cursor_ - exponent > static_cast<std::ptrdiff_t>(kMaxExponentSize))) {
    return Fail();
  }
  return true;
}

bool JsonReader::Bool(bool* value) {
  *value = Peek() == 't';
  return Literal(*value ? "true" : "false");
}

bool JsonReader::Skip() {
  std::string_view text;
  bool flag;
  switch (Peek()) {
    case '{':
      if (!BeginObject()) return false;
      while (NextKey(&text)) {
        if (!Skip()) return false;
      }
      return !failed_;
    case '[':
      if (!BeginArray()) return false;
      while (NextElement()) {
        if (!Skip()) return false;
      }
      return !failed_;
    case '"': return String(&text);
    case 't':
    case 'f': return Bool(&flag);
    case 'n': return Literal("null");
    default: return Number(&text) && (IsJsonNumber(text) || Fail());
  }
}

bool JsonReader::Raw(std::string_view* json) {
  SkipSpace();
  const char* start = cursor_;
  if (!Skip()) return false;
  *json = {start, static_cast<std::size_t>(cursor_ - start)};
  return true;
}

bool JsonReader::AtEnd() {
  SkipSpace();
  return cursor_ == end_ && !failed_;
}

}  // namespace penstock::protojson
