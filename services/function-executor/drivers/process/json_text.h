// JSON as text: checked and cut, but never decoded and written again, so that a payload keeps its
// bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace penstock::executor {

// Appends `text` as a JSON string with its quotes; ill-formed UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);

// OK when `text` is one JSON value, at most 256 levels deep. The message says what is wrong.
absl::Status CheckJson(std::string_view text);

// Appends `json`, which CheckJson accepted, without line ends, which are never part of a string.
void AppendJsonOnOneLine(std::string_view json, std::string* out);

// The members of an object as raw text, in their order. Nothing when `json` is no object.
// Requires text that CheckJson accepted. Keys are taken as written, escapes included.
using JsonMembers = std::vector<std::pair<std::string_view, std::string_view>>;
std::optional<JsonMembers> SplitJsonObject(std::string_view json);

// The member with `key`, or an empty view. The last one wins, as in most parsers.
std::string_view JsonMember(const JsonMembers& members, std::string_view key);

// Decodes a JSON string; nothing when `json`, which CheckJson accepted, is another kind of value.
std::optional<std::string> DecodeJsonString(std::string_view json);

}  // namespace penstock::executor
