#include "tools/penstock/input/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/protojson/json_tree.h"
#include "tools/penstock/client/errors.h"

namespace penstock::cli {
namespace {

absl::StatusOr<std::string> ReadAll(std::istream& in, std::string_view name) {
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return absl::InvalidArgumentError(fmt::format("{}: cannot be read", name));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("{}: is larger than {} MiB", name, kFileBytesMax / (1024 * 1024)));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ReadInput(std::string_view path, std::istream& in) {
  if (path == "-") return ReadAll(in, "standard input");
  const std::string name(path);
  std::error_code error;
  if (std::filesystem::is_directory(name, error)) {
    return absl::InvalidArgumentError(fmt::format("{}: is a folder, not a file", name));
  }
  errno = 0;
  std::ifstream file(name, std::ios::binary);
  if (!file) {
    return absl::InvalidArgumentError(
        fmt::format("{}: cannot be opened: {}", name, std::strerror(errno)));
  }
  return ReadAll(file, name);
}

absl::StatusOr<std::string> ReadData(std::string_view argument, std::istream& in) {
  if (argument == "-") return ReadInput("-", in);
  if (argument.starts_with('@')) return ReadInput(argument.substr(1), in);
  return std::string(argument);
}

std::string GuessContentType(std::string_view data) {
  if (data.empty()) return "";
  if (protojson::IsValidJson(data)) return "application/json";
  if (IsValidUtf8(data)) return "text/plain; charset=utf-8";
  return "application/octet-stream";
}

absl::Status ParsePairs(std::string_view flag, const std::vector<std::string>& pairs,
                        google::protobuf::Map<std::string, std::string>* map) {
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(fmt::format("{}: expected KEY=VALUE, but this is \"{}\"", flag, pair));
    }
    const std::string key = pair.substr(0, equals);
    if (map->contains(key)) return UsageError(fmt::format("{}: \"{}\" occurs twice", flag, key));
    (*map)[key] = pair.substr(equals + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view flag, std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool is_in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      is_in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      is_in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (is_in_word) words.push_back(std::exchange(word, {}));
      is_in_word = false;
    } else {
      word += c;
      is_in_word = true;
    }
  }
  if (quote != '\0') return UsageError(fmt::format("{}: a {} is not closed", flag, quote));
  if (is_in_word) words.push_back(std::move(word));
  return words;
}

absl::StatusOr<WallTime> ParseTime(std::string_view flag, std::string_view text, WallTime now) {
  if (const auto time = ParseRfc3339(text); time.ok()) return *time;
  if (const auto age = ParseDuration(text); age.ok()) return now - *age;
  return UsageError(fmt::format(
      "{}: expected a time like 2026-01-02T03:04:05Z or an age like 10m, but this is \"{}\"", flag,
      text));
}

absl::StatusOr<LogPoint> ParseLogPoint(std::string_view flag, std::string_view text, WallTime now) {
  std::int64_t sequence = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && sequence > 0) {
    return LogPoint(sequence);
  }
  if (const auto time = ParseTime(flag, text, now); time.ok()) return LogPoint(*time);
  return UsageError(
      fmt::format("{}: expected a sequence like 17, a time like "
                  "2026-01-02T03:04:05Z or an age like 10m, but this is \"{}\"",
                  flag, text));
}

absl::StatusOr<Microseconds> ParseTimeout(std::string_view flag, std::string_view text) {
  const auto parsed = ParseDuration(text);
  if (parsed.ok() && *parsed > Microseconds(0)) return *parsed;
  return UsageError(
      fmt::format("{}: expected a duration like 30s or 500ms, but this is \"{}\"", flag, text));
}

std::string FullName(std::string_view space, std::string_view collection, std::string_view id) {
  if (id.starts_with("spaces/")) return std::string(id);
  return fmt::format("spaces/{}/{}/{}", space, collection, id);
}

}  // namespace penstock::cli
