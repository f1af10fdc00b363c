// Makes the text of one log line. For log.cc and its tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/base/time.h"
#include "libs/log/log.h"

namespace penstock::log::internal {

// A longer string value is cut there, and says so.
inline constexpr std::size_t kValueBytesMax = 8 * 1024;

struct Line {
  WallTime time;
  Level level = Level::kInfo;
  std::string_view service;
  std::string_view message;
  Fields fields;
  // Above 0: added as the field "suppressed".
  std::uint64_t suppressed = 0;
};

// A JSON object without line end. Bytes that are not UTF-8 become U+FFFD. A field called like one
// of the line's own members gets an underscore at its end.
std::string FormatJson(const Line& line);

// Text without line end; a value that could be misread is quoted and escaped.
std::string FormatText(const Line& line);

}  // namespace penstock::log::internal
