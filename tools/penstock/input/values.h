// What command-line values mean: payloads, pairs, points in time.
#pragma once

#include <google/protobuf/map.h>

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::cli {

// Files that are read whole.
inline constexpr std::size_t kFileBytesMax = 8 * 1024 * 1024;

// Reads a file, or `in` for "-". The error names the path.
absl::StatusOr<std::string> ReadInput(std::string_view path, std::istream& in);

// The bytes that `--data` means: "@file", "-" for `in`, else the text itself.
absl::StatusOr<std::string> ReadData(std::string_view argument, std::istream& in);

// "application/json" for JSON, "text/plain; charset=utf-8" for other text in UTF-8, else
// "application/octet-stream"; empty for no data.
std::string GuessContentType(std::string_view data);

// Puts each "KEY=VALUE" into `map`. The error names `flag` and the text. A repeated key is refused.
absl::Status ParsePairs(std::string_view flag, const std::vector<std::string>& pairs,
                        google::protobuf::Map<std::string, std::string>* map);

// Splits a command line into words at white space; '…' and "…" hold words together, a backslash
// keeps the next character.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view flag, std::string_view text);

// A sequence, or a time.
using LogPoint = std::variant<std::int64_t, WallTime>;

// Parses a sequence ("17"), a time ("2026-01-02T03:04:05Z") or an age before `now` ("10m").
absl::StatusOr<LogPoint> ParseLogPoint(std::string_view flag, std::string_view text, WallTime now);

// Parses a time or an age before `now`.
absl::StatusOr<WallTime> ParseTime(std::string_view flag, std::string_view text, WallTime now);

// Parses "1.5s", "200ms", …; more than zero. The error names `flag`.
absl::StatusOr<Microseconds> ParseTimeout(std::string_view flag, std::string_view text);

// The full name of a resource: `id` in `space`, or `id` itself when it is a full name already.
std::string FullName(std::string_view space, std::string_view collection, std::string_view id);

}  // namespace penstock::cli
