#include "libs/log/line.h"

#include <array>
#include <cmath>
#include <iterator>
#include <type_traits>

#include "fmt/format.h"
#include "libs/base/utf8.h"

namespace penstock::log::internal {
namespace {

// Appends `text` with JSON's escapes, without quotes.
void AppendEscaped(std::string_view text, std::string* out) {
  while (!text.empty()) {
    const char c = text.front();
    std::size_t length = 1;
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      length = Utf8SequenceLength(text);
      if (length == 0) {
        length = 1;
        *out += "\xEF\xBF\xBD";
      } else {
        out->append(text.substr(0, length));
      }
    }
    text.remove_prefix(length);
  }
}

void AppendQuoted(std::string_view text, std::string* out) {
  *out += '"';
  AppendEscaped(text.substr(0, kValueBytesMax), out);
  if (text.size() > kValueBytesMax) {
    fmt::format_to(std::back_inserter(*out), "… ({} bytes more)", text.size() - kValueBytesMax);
  }
  *out += '"';
}

bool IsPlain(std::string_view text) {
  if (text.empty() || text.size() > kValueBytesMax) return false;
  for (const char c : text) {
    if (c <= ' ' || c == 0x7F || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

// Text as a value of a text line. Anything beyond printable ASCII is quoted, so checked as UTF-8.
void AppendTextValue(std::string_view text, std::string* out) {
  if (IsPlain(text)) {
    out->append(text);
  } else {
    AppendQuoted(text, out);
  }
}

void AppendNumber(double value, bool json, std::string* out) {
  if (json && !std::isfinite(value)) {
    fmt::format_to(std::back_inserter(*out), "\"{}\"", value);
  } else {
    fmt::format_to(std::back_inserter(*out), "{}", value);
  }
}

void AppendValue(const Value& value, bool json, std::string* out) {
  const auto append_text = [&](std::string_view text) {
    json ? AppendQuoted(text, out) : AppendTextValue(text, out);
  };
  std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          append_text(held);
        } else if constexpr (std::is_same_v<T, const absl::Status*>) {
          append_text(held->ToString(absl::StatusToStringMode::kWithNoExtraData));
        } else if constexpr (std::is_same_v<T, bool>) {
          *out += held ? "true" : "false";
        } else if constexpr (std::is_same_v<T, double>) {
          AppendNumber(held, json, out);
        } else {
          fmt::format_to(std::back_inserter(*out), "{}", held);
        }
      },
      value.get());
}

bool IsOwnMember(std::string_view key) {
  constexpr std::array<std::string_view, 5> kMembers = {"time", "level", "service", "message",
                                                        "suppressed"};
  for (const std::string_view member : kMembers) {
    if (key == member) return true;
  }
  return false;
}

}  // namespace

std::string FormatJson(const Line& line) {
  std::string out;
  out.reserve(256);
  fmt::format_to(std::back_inserter(out), R"({{"time":"{}","level":"{}")", FormatRfc3339(line.time),
                 LevelName(line.level));
  if (!line.service.empty()) {
    out += R"(,"service":)";
    AppendQuoted(line.service, &out);
  }
  out += R"(,"message":)";
  AppendQuoted(line.message, &out);
  for (const Field& field : line.fields) {
    out += ",\"";
    AppendEscaped(field.key, &out);
    out += IsOwnMember(field.key) ? "_\":" : "\":";
    AppendValue(field.value, true, &out);
  }
  if (line.suppressed > 0) {
    fmt::format_to(std::back_inserter(out), R"(,"suppressed":{})", line.suppressed);
  }
  out += '}';
  return out;
}

std::string FormatText(const Line& line) {
  constexpr std::array<std::string_view, 5> kNames = {"DEBUG", "INFO", "WARN", "ERROR", "OFF"};
  std::string out;
  out.reserve(160);
  fmt::format_to(std::back_inserter(out), "{} {:<5} ", FormatRfc3339(line.time),
                 kNames[static_cast<std::size_t>(line.level)]);
  if (!line.service.empty()) {
    AppendEscaped(line.service, &out);
    out += ": ";
  }
  AppendEscaped(line.message.substr(0, kValueBytesMax), &out);
  for (const Field& field : line.fields) {
    out += ' ';
    AppendEscaped(field.key, &out);
    out += '=';
    AppendValue(field.value, false, &out);
  }
  if (line.suppressed > 0) {
    fmt::format_to(std::back_inserter(out), " suppressed={}", line.suppressed);
  }
  return out;
}

}  // namespace penstock::log::internal
