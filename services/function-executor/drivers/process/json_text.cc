#include "services/function-executor/drivers/process/json_text.h"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <cstddef>
#include <cstdint>

#include "libs/base/utf8.h"

namespace penstock::executor {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 256;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Accepts every event of Boost.JSON's parser: what remains is its check of the grammar.
struct NullHandler {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = json::error_code;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return true; }
  bool on_object_end(std::size_t, Error&) { return true; }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_key_part(json::string_view, std::size_t, Error&) { return true; }
  bool on_key(json::string_view, std::size_t, Error&) { return true; }
  bool on_string_part(json::string_view, std::size_t, Error&) { return true; }
  bool on_string(json::string_view, std::size_t, Error&) { return true; }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(std::int64_t, json::string_view, Error&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, Error&) { return true; }
  bool on_double(double, json::string_view, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }
};

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// The end of the string whose opening quote is at `start`: the place after its closing quote.
std::size_t SkipString(std::string_view json, std::size_t start) {
  std::size_t i = start + 1;
  while (i < json.size() && json[i] != '"') i += json[i] == '\\' ? 2 : 1;
  return i + 1;
}

// The end of the value at `start` inside of an object: where the comma or brace after it stands.
std::size_t SkipValue(std::string_view json, std::size_t start) {
  int depth = 0;
  std::size_t i = start;
  while (i < json.size()) {
    const char c = json[i];
    if (c == '"') {
      i = SkipString(json, i);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return i;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++i;
  }
  return i;
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->reserve(out->size() + text.size() + 2);
  *out += '"';
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    const char c = text.front();
    if (length == 0) {
      *out += kReplacement;
    } else if (length > 1) {
      *out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (c == '\n') {
      *out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      *out += "\\u00";
      *out += kHex[c >> 4];
      *out += kHex[c & 0xF];
    } else {
      *out += c;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  *out += '"';
}

absl::Status CheckJson(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::basic_parser<NullHandler> parser(options);
  json::error_code error;
  const std::size_t parsed = parser.write_some(false, text.data(), text.size(), error);
  if (!error && parsed < text.size()) error = json::error::extra_data;
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(error.message() + " at byte " + std::to_string(parsed));
}

void AppendJsonOnOneLine(std::string_view json, std::string* out) {
  while (!json.empty()) {
    const std::size_t end = json.find_first_of("\r\n");
    *out += json.substr(0, end);
    if (end == std::string_view::npos) return;
    json.remove_prefix(end + 1);
  }
}

std::optional<JsonMembers> SplitJsonObject(std::string_view json) {
  json = Trim(json);
  if (json.empty() || json.front() != '{') return std::nullopt;
  JsonMembers members;
  std::size_t i = 1;
  while (i < json.size()) {
    while (i < json.size() && json[i] != '"' && json[i] != '}') ++i;
    if (i >= json.size() || json[i] == '}') break;
    const std::size_t key_end = SkipString(json, i);
    const std::string_view key = json.substr(i + 1, key_end - i - 2);
    const std::size_t value_start = json.find(':', key_end) + 1;
    const std::size_t value_end = SkipValue(json, value_start);
    members.emplace_back(key, Trim(json.substr(value_start, value_end - value_start)));
    i = value_end;
  }
  return members;
}

std::string_view JsonMember(const JsonMembers& members, std::string_view key) {
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (member->first == key) return member->second;
  }
  return {};
}

std::optional<std::string> DecodeJsonString(std::string_view json) {
  json = Trim(json);
  if (json.empty() || json.front() != '"') return std::nullopt;
  json::error_code error;
  const json::value value = json::parse({json.data(), json.size()}, error);
  if (error || !value.is_string()) return std::nullopt;
  return std::string(value.get_string().data(), value.get_string().size());
}

}  // namespace penstock::executor
