// Structured logs: a fixed sentence with fields, one line each, on standard error.
//
//   log::Warn("delivery failed", {{"event_id", event.id}, {"attempt", attempt}});
//
// Every function here is thread-safe and never throws. A line below the level costs one atomic
// load.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/log/every.h"
#include "libs/log/secret.h"

namespace penstock::log {

enum class Level : int { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3, kOff = 4 };

enum class Format {
  kAuto,  // Text when standard error is a terminal, else JSON.
  kJson,  // One JSON object a line: time, level, service, message, then the fields.
  kText,  // "2026-01-02T03:04:05.678Z INFO  gateway: listening port=8080".
};

// What a field holds. It refers to strings and statuses and does not copy them: build it only
// inside the call that logs it.
class Value {
 public:
  Value(const char* text) : value_(text == nullptr ? std::string_view() : std::string_view(text)) {}
  Value(std::string_view text) : value_(text) {}
  Value(const std::string& text) : value_(std::string_view(text)) {}
  Value(bool value) : value_(value) {}
  template <std::signed_integral T>
  Value(T value) : value_(static_cast<std::int64_t>(value)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Value(T value) : value_(static_cast<std::uint64_t>(value)) {}
  template <std::floating_point T>
  Value(T value) : value_(static_cast<double>(value)) {}
  // Printed as "NOT_FOUND: what the message says".
  Value(const absl::Status& status) : value_(&status) {}
  // Printed as "*****".
  Value(const Secret&) : value_(std::string_view("*****")) {}

  using Variant = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool,
                               const absl::Status*>;
  const Variant& get() const { return value_; }

 private:
  Variant value_;
};

// One field of a line. Keys are fixed snake_case names. A string value is cut after 8 KiB.
struct Field {
  std::string_view key;
  Value value;
};
using Fields = std::initializer_list<Field>;

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kAuto;
  // The value of `service` in every line; left out when empty.
  std::string service;
  // When set, gets each line (without its end) in place of standard error, one call at a time. It
  // must not log.
  std::function<void(std::string_view line)> sink;
};

// Sets how lines are written from now on. Before the first call: level info, format auto.
void Configure(Options options);

// Changes the level alone, while the process runs.
void SetLevel(Level level);
Level GetLevel();

// "debug", "info", "warn", "error", "off".
std::string_view LevelName(Level level);
absl::StatusOr<Level> ParseLevel(std::string_view name);

namespace internal {
extern std::atomic<int> level;
void Write(Level level, std::string_view message, Fields fields, std::uint64_t suppressed);
}  // namespace internal

// True when a line of this level is written. For fields that cost something to make.
inline bool Enabled(Level level) {
  return static_cast<int>(level) >= internal::level.load(std::memory_order_relaxed);
}

// Writes one line of the given level.
inline void Log(Level level, std::string_view message, Fields fields = {}) {
  if (Enabled(level)) internal::Write(level, message, fields, 0);
}
// Writes the line when `limiter` allows it; the line then says how many it suppressed since the
// last.
inline void Log(Every& limiter, Level level, std::string_view message, Fields fields = {}) {
  if (!Enabled(level)) return;
  std::uint64_t suppressed = 0;
  if (limiter.Allow(&suppressed)) internal::Write(level, message, fields, suppressed);
}

inline void Debug(std::string_view message, Fields fields = {}) {
  Log(Level::kDebug, message, fields);
}
inline void Info(std::string_view message, Fields fields = {}) {
  Log(Level::kInfo, message, fields);
}
inline void Warn(std::string_view message, Fields fields = {}) {
  Log(Level::kWarn, message, fields);
}
inline void Error(std::string_view message, Fields fields = {}) {
  Log(Level::kError, message, fields);
}
inline void Debug(Every& limiter, std::string_view message, Fields fields = {}) {
  Log(limiter, Level::kDebug, message, fields);
}
inline void Info(Every& limiter, std::string_view message, Fields fields = {}) {
  Log(limiter, Level::kInfo, message, fields);
}
inline void Warn(Every& limiter, std::string_view message, Fields fields = {}) {
  Log(limiter, Level::kWarn, message, fields);
}
inline void Error(Every& limiter, std::string_view message, Fields fields = {}) {
  Log(limiter, Level::kError, message, fields);
}

// Hands everything written so far to the kernel.
void Flush();

}  // namespace penstock::log
