// Places in JSON payloads: JSON Pointers (RFC 6901), and with "*" all members of one.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::executor {

// Levels of a payload that are read.
inline constexpr std::size_t kJsonDepthMax = 128;

// The JSON in `text`, or nothing.
std::optional<boost::json::value> ParseJsonBody(std::string_view text);

// A JSON Pointer, read once. Immutable.
class JsonPlace {
 public:
  // INVALID_ARGUMENT for a text that is neither empty nor begins with "/", or that has a "~"
  // without 0 or 1 behind it.
  static absl::StatusOr<JsonPlace> Parse(std::string_view pointer);

  // What is there; null for nothing. "*" is a name like any other.
  const boost::json::value* Find(const boost::json::value& root) const;

  // Puts `value` at each place that this stands for, with "*" as every member or element. False
  // when there was none.
  bool Replace(boost::json::value* root, const boost::json::value& value) const;

 private:
  static bool ReplaceAt(boost::json::value* at, const std::vector<std::string>& names,
                        std::size_t depth, const boost::json::value& value);

  std::vector<std::string> names_;
};

}  // namespace penstock::executor
