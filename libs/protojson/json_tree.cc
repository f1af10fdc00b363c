#include "libs/protojson/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cstring>
#include <limits>
#include <string>

namespace penstock::protojson {

namespace json = boost::json;

std::string_view KindName(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull: return "null";
    case JsonKind::kBool: return "a boolean";
    case JsonKind::kNumber: return "a number";
    case JsonKind::kString: return "a string";
    case JsonKind::kArray: return "an array";
    case JsonKind::kObject: return "an object";
  }
  return "a value";
}

namespace {

json::parse_options Options(int max_depth) {
  json::parse_options options;  // strict JSON, valid UTF-8
  options.max_depth = static_cast<std::size_t>(max_depth);
  return options;
}

// Accepts everything: the parser alone decides.
struct NullHandler {
  static constexpr std::size_t max_array_size = -1;
  static constexpr std::size_t max_object_size = -1;
  static constexpr std::size_t max_string_size = -1;
  static constexpr std::size_t max_key_size = -1;
  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(std::size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_key(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

bool IsNumberCharacter(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

absl::Status SyntaxError(std::string_view text, std::size_t place, const json::error_code& code,
                         int max_depth) {
  place = std::min(place, text.size());
  const std::string_view before = text.substr(0, place);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  std::string what = code.message();
  if (code == json::error::too_deep) {
    what = fmt::format("nested deeper than {} levels", max_depth);
  } else if (code == json::error::incomplete) {
    what = "unexpected end";
  } else if (code == json::error::extra_data) {
    what = "unexpected text after the value";
  } else if (code == json::error::syntax && place < text.size() && text[place] > ' ' &&
             text[place] < 0x7f) {
    what = fmt::format("unexpected '{}'", text[place]);
  }
  return absl::InvalidArgumentError(
      fmt::format("invalid JSON at line {}, column {}: {}", line, place - line_start + 1, what));
}

}  // namespace

// Turns Boost.JSON's events into nodes. The parser does not tell where in the text an event
// happened, so the builder walks along: it skips the punctuation between tokens, which the parser
// has just checked.
class JsonTreeBuilder {
 public:
  static constexpr std::size_t max_array_size = -1;
  static constexpr std::size_t max_object_size = -1;
  static constexpr std::size_t max_string_size = -1;
  static constexpr std::size_t max_key_size = -1;

  explicit JsonTreeBuilder(JsonDocument& document)
      : document_(document),
        begin_(document.text_.data()),
        end_(begin_ + document.text_.size()),
        cursor_(begin_) {}

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return Open(JsonKind::kArray); }
  bool on_array_end(std::size_t n, json::error_code&) { return Close(n); }
  bool on_object_begin(json::error_code&) { return Open(JsonKind::kObject); }
  bool on_object_end(std::size_t n, json::error_code&) { return Close(n); }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    return AddPart(part);
  }
  bool on_string(json::string_view rest, std::size_t, json::error_code&) { return AddString(rest); }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return AddPart(part); }
  bool on_key(json::string_view rest, std::size_t, json::error_code&) { return AddString(rest); }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return AddNumber(); }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return AddNumber(); }
  bool on_double(double, json::string_view, json::error_code&) { return AddNumber(); }
  bool on_bool(bool value, json::error_code&) {
    const char* start = TokenStart();
    cursor_ = start + (value ? 4 : 5);
    Add(JsonKind::kBool, start, {start, value ? 1u : 0u});
    return true;
  }
  bool on_null(json::error_code&) {
    const char* start = TokenStart();
    cursor_ = start + 4;
    Add(JsonKind::kNull, start, {});
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  const char* TokenStart() {
    while (cursor_ != end_ && (*cursor_ == ' ' || *cursor_ == '\n' || *cursor_ == '\r' ||
                               *cursor_ == '\t' || *cursor_ == ',' || *cursor_ == ':')) {
      ++cursor_;
    }
    return cursor_;
  }

  std::uint32_t Offset(const char* place) const {
    return static_cast<std::uint32_t>(place - begin_);
  }

  // Adds a value from `start` to the cursor.
  void Add(JsonKind kind, const char* start, std::string_view text) {
    auto& nodes = document_.nodes_;
    nodes.push_back({.kind = kind,
                     .count = 0,
                     .next = static_cast<std::uint32_t>(nodes.size()) + 1,
                     .begin = Offset(start),
                     .end = Offset(cursor_),
                     .text_size = static_cast<std::uint32_t>(text.size()),
                     .text = text.data()});
  }

  bool Open(JsonKind kind) {
    const char* start = TokenStart();
    cursor_ = start + 1;
    open_.push_back(static_cast<std::uint32_t>(document_.nodes_.size()));
    Add(kind, start, {});
    return true;
  }

  bool Close(std::size_t count) {
    cursor_ = TokenStart() + 1;
    JsonValue::Node& node = document_.nodes_[open_.back()];
    open_.pop_back();
    node.count = static_cast<std::uint32_t>(count);
    node.next = static_cast<std::uint32_t>(document_.nodes_.size());
    node.end = Offset(cursor_);
    return true;
  }

  bool AddNumber() {
    const char* start = TokenStart();
    while (cursor_ != end_ && IsNumberCharacter(*cursor_)) ++cursor_;
    Add(JsonKind::kNumber, start, {start, static_cast<std::size_t>(cursor_ - start)});
    return true;
  }

  // A string comes in parts when it has escapes.
  bool AddPart(json::string_view part) {
    if (part.empty()) return true;
    if (!document_.decoded_) {
      document_.decoded_ = std::make_unique_for_overwrite<char[]>(document_.text_.size());
    }
    std::memcpy(document_.decoded_.get() + document_.decoded_size_, part.data(), part.size());
    document_.decoded_size_ += part.size();
    part_size_ += part.size();
    return true;
  }

  bool AddString(json::string_view rest) {
    const char* start = TokenStart();
    const bool in_text = rest.data() == start + 1 && start[1 + rest.size()] == '"';
    if (part_size_ == 0 && in_text) {
      cursor_ = start + rest.size() + 2;
      Add(JsonKind::kString, start, {rest.data(), rest.size()});
      return true;
    }
    AddPart(rest);
    for (cursor_ = start + 1; *cursor_ != '"'; ++cursor_) {
      if (*cursor_ == '\\') ++cursor_;
    }
    ++cursor_;
    const char* decoded = document_.decoded_.get() + document_.decoded_size_ - part_size_;
    Add(JsonKind::kString, start, {decoded, part_size_});
    part_size_ = 0;
    return true;
  }

  JsonDocument& document_;
  const char* const begin_;
  const char* const end_;
  const char* cursor_;
  std::vector<std::uint32_t> open_;
  std::size_t part_size_ = 0;
};

absl::Status JsonDocument::Parse(std::string_view text, int max_depth) {
  text_ = text;
  nodes_.clear();
  decoded_.reset();
  decoded_size_ = 0;
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) {
    return absl::InvalidArgumentError("JSON text is longer than 4 GiB");
  }
  nodes_.reserve(std::min<std::size_t>(8 + text.size() / 16, 256));
  json::basic_parser<JsonTreeBuilder> parser(Options(max_depth), *this);
  json::error_code code;
  const std::size_t parsed = parser.write_some(false, text.data(), text.size(), code);
  if (!code && parsed < text.size()) code = json::error::extra_data;
  if (code) return SyntaxError(text, parsed, code, max_depth);
  return absl::OkStatus();
}

bool IsValidJson(std::string_view text, int max_depth) {
  json::basic_parser<NullHandler> parser(Options(max_depth));
  json::error_code code;
  const std::size_t parsed = parser.write_some(false, text.data(), text.size(), code);
  return !code && parsed == text.size();
}

}  // namespace penstock::protojson
