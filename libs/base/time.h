// Time as values, and the clock that logic is given instead of reading one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock {

// Wall time in microseconds since the Unix epoch: what is stored and shown.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;
// Monotonic time in microseconds: what timers run on. Only differences mean something.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::microseconds>;
using Microseconds = std::chrono::microseconds;

// Reads both clocks. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Wall() const = 0;
  virtual MonotonicTime Monotonic() const = 0;
};

// The machine's clocks. Lives as long as the process.
const Clock& SystemClock();

// RFC 3339 in UTC with as many fractional digits (0, 3 or 6) as needed: "2026-01-02T03:04:05.678Z".
std::string FormatRfc3339(WallTime time);

// Parses RFC 3339 with any offset; digits finer than a microsecond are cut off.
absl::StatusOr<WallTime> ParseRfc3339(std::string_view text);

// Parses "1.5s", "200ms", "10m", "2h", "14d" or "250us"; a negative or missing number is an error.
absl::StatusOr<Microseconds> ParseDuration(std::string_view text);

// The shortest exact form that ParseDuration accepts.
std::string FormatDuration(Microseconds duration);

inline std::int64_t ToUnixMicros(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime FromUnixMicros(std::int64_t micros) { return WallTime(Microseconds(micros)); }

}  // namespace penstock
