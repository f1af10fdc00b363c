#include "services/event-broker/domain/filter/type_pattern.h"

#include <algorithm>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kPatternLengthMax = 256;
constexpr std::size_t kStarsMax = 3;

}  // namespace

absl::StatusOr<TypePattern> TypePattern::Parse(std::string_view field, std::string_view pattern) {
  if (pattern.empty()) {
    return FieldError(field,
                      "must not be empty: expected an event type such as \"user.created\" or "
                      "\"user.*\"");
  }
  if (pattern.size() > kPatternLengthMax) {
    return FieldError(field, "is too long: expected at most 256 characters");
  }
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) {
      return FieldError(field, "contains a space or a control character");
    }
  }
  if (static_cast<std::size_t>(std::count(pattern.begin(), pattern.end(), '*')) > kStarsMax) {
    return FieldError(field, "has more than three '*'");
  }
  TypePattern compiled;
  compiled.text_ = std::string(pattern);
  std::size_t start = 0;
  while (true) {
    const std::size_t star = pattern.find('*', start);
    compiled.pieces_.emplace_back(pattern.substr(start, star - start));
    if (star == std::string_view::npos) break;
    start = star + 1;
  }
  return compiled;
}

bool TypePattern::Matches(std::string_view type) const {
  if (exact()) return type == text_;
  if (text_ == "*") return !type.starts_with("penstock.") && !type.starts_with("eventgateway.");
  const std::string& first = pieces_.front();
  const std::string& last = pieces_.back();
  if (type.size() < first.size() + last.size() || !type.starts_with(first) ||
      !type.ends_with(last)) {
    return false;
  }
  // Between the fixed ends each piece is found as early as possible, which never hurts a later one.
  std::string_view middle = type.substr(first.size(), type.size() - first.size() - last.size());
  for (std::size_t i = 1; i + 1 < pieces_.size(); ++i) {
    const std::size_t at = middle.find(pieces_[i]);
    if (at == std::string_view::npos) return false;
    middle.remove_prefix(at + pieces_[i].size());
  }
  return true;
}

}  // namespace penstock::broker
