#include "libs/jsonschema/pointer.h"

#include <charconv>

namespace penstock::jsonschema {

namespace json = boost::json;

std::string PointerTo(std::string_view token) {
  std::string pointer = "/";
  for (const char c : token) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

std::optional<std::string> FromFragment(std::string_view fragment) {
  std::string text;
  for (std::size_t i = 0; i < fragment.size(); ++i) {
    if (fragment[i] != '%') {
      text += fragment[i];
      continue;
    }
    unsigned char byte = 0;
    if (i + 2 >= fragment.size()) return std::nullopt;
    const char* const first = fragment.data() + i + 1;
    const auto [stop, error] = std::from_chars(first, first + 2, byte, 16);
    if (error != std::errc() || stop != first + 2) return std::nullopt;
    text += static_cast<char>(byte);
    i += 2;
  }
  return text;
}

namespace {

std::optional<std::string> Unescaped(std::string_view token) {
  std::string text;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      text += token[i];
      continue;
    }
    if (++i >= token.size() || (token[i] != '0' && token[i] != '1')) return std::nullopt;
    text += token[i] == '0' ? '~' : '/';
  }
  return text;
}

const json::value* Step(const json::value& value, std::string_view token) {
  if (const json::object* const object = value.if_object()) return object->if_contains(token);
  const json::array* const array = value.if_array();
  std::size_t index = 0;
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool is_index = error == std::errc() && stop == token.data() + token.size() &&
                        (token.size() == 1 || token.front() != '0');
  return array != nullptr && is_index ? array->if_contains(index) : nullptr;
}

}  // namespace

const json::value* Find(const json::value& document, std::string_view pointer) {
  const json::value* at = &document;
  while (at != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    const auto token = Unescaped(pointer.substr(0, end));
    at = token ? Step(*at, *token) : nullptr;
    pointer.remove_prefix(end);
  }
  return at;
}

}  // namespace penstock::jsonschema
