#include "libs/transcode/path_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "libs/transcode/percent.h"

namespace penstock::transcode {
namespace {

// IDENT { "." IDENT }
bool IsFieldPath(std::string_view name) {
  bool at_start = true;
  for (const char c : name) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool is_digit = c >= '0' && c <= '9';
    if (at_start ? !is_letter : !is_letter && !is_digit && c != '.') return false;
    at_start = c == '.';
  }
  return !at_start;
}

// A recursive descent over the grammar in google/api/http.proto.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  absl::StatusOr<PathTemplate> Parse() {
    if (!Take('/')) return Error("expected a slash at the start");
    if (!rest_.empty()) RETURN_IF_ERROR(ParseSegments(false));
    if (Take(':')) {
      if (!PercentDecode(TakeText(), PercentRule::kSegment, &parsed_.verb)) return BadPercent();
      if (parsed_.verb.empty()) return Error("expected a verb after the colon");
    }
    if (!rest_.empty()) return Error(fmt::format("unexpected '{}'", rest_.front()));
    RETURN_IF_ERROR(CheckMulti());
    return std::move(parsed_);
  }

 private:
  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(fmt::format("path template \"{}\": {}", text_, what));
  }

  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  absl::Status BadPercent() const { return Error("expected two hexadecimal digits after %"); }

  std::string_view TakeText() {
    const std::size_t size = std::min(rest_.find_first_of("/:{}=*?#"), rest_.size());
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

  absl::Status ParseSegments(bool in_variable) {
    do {
      RETURN_IF_ERROR(ParseSegment(in_variable));
    } while (Take('/'));
    return absl::OkStatus();
  }

  absl::Status ParseSegment(bool in_variable) {
    using Kind = TemplateSegment::Kind;
    if (Take('{')) {
      if (in_variable) return Error("a variable inside a variable");
      return ParseVariable();
    }
    if (Take('*')) {
      parsed_.segments.push_back({Take('*') ? Kind::kMulti : Kind::kSingle, {}});
      return absl::OkStatus();
    }
    std::string literal;
    if (!PercentDecode(TakeText(), PercentRule::kSegment, &literal)) return BadPercent();
    if (literal.empty()) return Error("expected a segment");
    parsed_.segments.push_back({Kind::kLiteral, std::move(literal)});
    return absl::OkStatus();
  }

  absl::Status ParseVariable() {
    TemplateVariable variable;
    variable.begin = parsed_.segments.size();
    variable.name = std::string(TakeText());
    if (variable.name.empty()) return Error("expected a field after '{'");
    if (!IsFieldPath(variable.name)) return Error("expected a path of fields after '{'");
    if (Take('=')) {
      RETURN_IF_ERROR(ParseSegments(true));
    } else {
      parsed_.segments.push_back({TemplateSegment::Kind::kSingle, {}});
    }
    if (!Take('}')) return Error("expected '}'");
    variable.end = parsed_.segments.size();
    parsed_.variables.push_back(std::move(variable));
    return absl::OkStatus();
  }

  absl::Status CheckMulti() const {
    for (std::size_t i = 0; i + 1 < parsed_.segments.size(); ++i) {
      if (parsed_.segments[i].kind == TemplateSegment::Kind::kMulti) {
        return Error("** is allowed at the end only");
      }
    }
    return absl::OkStatus();
  }

  const std::string_view text_;
  std::string_view rest_;
  PathTemplate parsed_;
};

}  // namespace

absl::StatusOr<PathTemplate> ParsePathTemplate(std::string_view text) {
  return Parser(text).Parse();
}

}  // namespace penstock::transcode
