#include "services/function-executor/domain/middleware/json_place.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <charconv>

namespace penstock::executor {

namespace json = boost::json;

namespace {

// The element of an array that a name means (RFC 6901, section 4); nothing for no index.
std::optional<std::size_t> IndexOf(const std::string& name) {
  if (name.empty() || (name.size() > 1 && name[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return index;
}

json::value* MemberOf(json::value* value, const std::string& name) {
  if (value->is_object()) return value->as_object().if_contains(name);
  if (!value->is_array()) return nullptr;
  const auto index = IndexOf(name);
  return index ? value->as_array().if_contains(*index) : nullptr;
}

}  // namespace

std::optional<json::value> ParseJsonBody(std::string_view text) {
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return std::nullopt;
  return value;
}

absl::StatusOr<JsonPlace> JsonPlace::Parse(std::string_view pointer) {
  JsonPlace place;
  if (pointer.empty()) return place;
  if (pointer.front() != '/') {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is no JSON Pointer: expected a \"/\" first", pointer));
  }
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      place.names_.emplace_back();
      continue;
    }
    char c = pointer[i];
    if (c == '~') {
      const char next = i + 1 < pointer.size() ? pointer[++i] : '\0';
      if (next != '0' && next != '1') {
        return absl::InvalidArgumentError(
            fmt::format("\"{}\" is no JSON Pointer: expected 0 or 1 behind \"~\"", pointer));
      }
      c = next == '0' ? '~' : '/';
    }
    place.names_.back() += c;
  }
  return place;
}

const json::value* JsonPlace::Find(const json::value& root) const {
  const json::value* at = &root;
  for (const std::string& name : names_) {
    // The lookup changes nothing.
    at = MemberOf(const_cast<json::value*>(at),
                  name);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    if (at == nullptr) return nullptr;
  }
  return at;
}

bool JsonPlace::Replace(json::value* root, const json::value& value) const {
  return ReplaceAt(root, names_, 0, value);
}

bool JsonPlace::ReplaceAt(json::value* at, const std::vector<std::string>& names, std::size_t depth,
                          const json::value& value) {
  if (depth == names.size()) {
    *at = value;
    return true;
  }
  if (names[depth] != "*") {
    json::value* const member = MemberOf(at, names[depth]);
    return member != nullptr && ReplaceAt(member, names, depth + 1, value);
  }
  bool found = false;
  if (at->is_object()) {
    for (auto& member : at->as_object()) {
      found = ReplaceAt(&member.value(), names, depth + 1, value) || found;
    }
  } else if (at->is_array()) {
    for (json::value& element : at->as_array()) {
      found = ReplaceAt(&element, names, depth + 1, value) || found;
    }
  }
  return found;
}

}  // namespace penstock::executor
