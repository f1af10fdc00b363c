#include "libs/http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/grammar.h"

namespace penstock::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// `text` as the inside of a JSON string. Bytes that are no UTF-8 cannot occur: callers quote input
// escaped.
std::string JsonEscape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](char left, char right) { return Lower(left) == Lower(right); });
}

Headers::Headers(std::initializer_list<Field> fields) {
  for (const Field& field : fields) Add(field.name, field.value);
}

Headers::Field Headers::operator[](std::size_t index) const {
  const Slot& slot = fields_[index];
  const std::string_view bytes(bytes_);
  return {bytes.substr(slot.offset, slot.name_size),
          bytes.substr(slot.offset + slot.name_size, slot.value_size)};
}

std::optional<std::string_view> Headers::Find(std::string_view name) const {
  for (const Slot& slot : fields_) {
    if (slot.name_size != name.size()) continue;
    const std::string_view bytes(bytes_);
    if (!EqualsIgnoreCase(bytes.substr(slot.offset, slot.name_size), name)) continue;
    return bytes.substr(slot.offset + slot.name_size, slot.value_size);
  }
  return std::nullopt;
}

std::string_view Headers::Get(std::string_view name) const {
  return Find(name).value_or(std::string_view());
}

bool Headers::Has(std::string_view name) const { return Find(name).has_value(); }

std::vector<std::string_view> Headers::GetAll(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field field : *this) {
    if (EqualsIgnoreCase(field.name, name)) values.push_back(field.value);
  }
  return values;
}

bool ListsToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (EqualsIgnoreCase(TrimSpace(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool Headers::HasToken(std::string_view name, std::string_view token) const {
  for (const std::string_view list : GetAll(name)) {
    if (ListsToken(list, token)) return true;
  }
  return false;
}

void Headers::Reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields);
  bytes_.reserve(bytes);
}

void Headers::Add(std::string_view name, std::string_view value) {
  // Growing the string would leave views into it dangling, so such arguments are copied first.
  const auto is_own = [this](std::string_view view) {
    return !std::less<>()(view.data(), bytes_.data()) &&
           std::less<>()(view.data(), bytes_.data() + bytes_.size());
  };
  if (is_own(name) || is_own(value)) {
    const std::string name_copy(name);
    const std::string value_copy(value);
    Add(name_copy, value_copy);
    return;
  }
  fields_.push_back({static_cast<std::uint32_t>(bytes_.size()),
                     static_cast<std::uint32_t>(name.size()),
                     static_cast<std::uint32_t>(value.size())});
  bytes_.append(name).append(value);
}

void Headers::Set(std::string_view name, std::string_view value) {
  // Removing leaves the bytes in place, so views into this object stay good for Add.
  Remove(name);
  Add(name, value);
}

std::size_t Headers::Remove(std::string_view name) {
  const std::string_view bytes(bytes_);
  return std::erase_if(fields_, [&](const Slot& slot) {
    return EqualsIgnoreCase(bytes.substr(slot.offset, slot.name_size), name);
  });
}

void Headers::Clear() {
  bytes_.clear();
  fields_.clear();
}

bool IsValidHeader(std::string_view name, std::string_view value) {
  return IsToken(name) && !HasControlByte(value);
}

Response Response::Json(int status, std::string json) {
  return {status, Headers{{"Content-Type", "application/json"}}, std::move(json)};
}

Response Response::Text(int status, std::string text) {
  return {status, Headers{{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text)};
}

std::string_view ReasonPhrase(int status) {
  static constexpr std::pair<int, std::string_view> kPhrases[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {203, "Non-Authoritative Information"},
      {204, "No Content"},
      {205, "Reset Content"},
      {206, "Partial Content"},
      {207, "Multi-Status"},
      {300, "Multiple Choices"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {418, "I'm a teapot"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {423, "Locked"},
      {424, "Failed Dependency"},
      {425, "Too Early"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {451, "Unavailable For Legal Reasons"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
      {511, "Network Authentication Required"},
  };
  const auto* const found = std::lower_bound(
      std::begin(kPhrases), std::end(kPhrases), status,
      [](const std::pair<int, std::string_view>& phrase, int code) { return phrase.first < code; });
  return found != std::end(kPhrases) && found->first == status ? found->second : "Unknown";
}

Response ErrorResponse(int http_status, const absl::Status& error) {
  const absl::string_view message = error.message();
  return Response::Json(http_status,
                        fmt::format(R"({{"code":{},"status":"{}","message":"{}","details":[]}})",
                                    static_cast<int>(error.code()), CodeName(error.code()),
                                    JsonEscape(std::string_view(message.data(), message.size()))));
}

}  // namespace penstock::http
