#include "libs/base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/time/time.h"
#include "libs/base/status.h"

namespace penstock {
namespace {

class MachineClock final : public Clock {
 public:
  WallTime Wall() const override {
    return std::chrono::time_point_cast<Microseconds>(std::chrono::system_clock::now());
  }
  MonotonicTime Monotonic() const override {
    return std::chrono::time_point_cast<Microseconds>(std::chrono::steady_clock::now());
  }
};

struct Unit {
  std::string_view suffix;
  std::int64_t micros;
};

// Longest suffix first, so that "ms" is not read as "s".
constexpr std::array kUnits = {
    Unit{"us", 1},         Unit{"ms", 1'000},        Unit{"s", 1'000'000},
    Unit{"m", 60'000'000}, Unit{"h", 3'600'000'000}, Unit{"d", 86'400'000'000}};

absl::Status DurationError(std::string_view text) {
  return absl::InvalidArgumentError(fmt::format(
      "\"{}\" is not a duration: expected a number and one of us, ms, s, m, h, d, as in \"1.5s\"",
      text));
}

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

std::string FormatRfc3339(WallTime time) {
  const absl::Time at = absl::FromUnixMicros(ToUnixMicros(time));
  const std::int64_t fraction = ((ToUnixMicros(time) % 1'000'000) + 1'000'000) % 1'000'000;
  std::string text = absl::FormatTime("%Y-%m-%dT%H:%M:%S", at, absl::UTCTimeZone());
  if (fraction % 1'000 != 0) {
    text += fmt::format(".{:06}", fraction);
  } else if (fraction != 0) {
    text += fmt::format(".{:03}", fraction / 1'000);
  }
  return text + "Z";
}

absl::StatusOr<WallTime> ParseRfc3339(std::string_view text) {
  absl::Time time;
  std::string error;
  // absl also takes a date alone and words such as "infinite-future"; RFC 3339 asks for a time and
  // an offset.
  const bool shaped = text.size() >= 20 && (text[10] == 'T' || text[10] == 't');
  std::string upper(text);
  if (shaped) {
    upper[10] = 'T';
    if (upper.back() == 'z') upper.back() = 'Z';
  }
  if (!shaped || !absl::ParseTime(absl::RFC3339_full, absl::string_view(upper.data(), upper.size()),
                                  &time, &error)) {
    return absl::InvalidArgumentError(fmt::format(
        "\"{}\" is not an RFC 3339 time: expected a form like \"2026-01-02T03:04:05Z\"", text));
  }
  return FromUnixMicros(absl::ToUnixMicros(time));
}

absl::StatusOr<Microseconds> ParseDuration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return DurationError(text);
  const std::string_view suffix(end, text.data() + text.size() - end);
  for (const Unit& unit : kUnits) {
    if (suffix != unit.suffix) continue;
    const double micros = number * static_cast<double>(unit.micros);
    if (micros > 9e18) return DurationError(text);
    return Microseconds(std::llround(micros));
  }
  return DurationError(text);
}

std::string FormatDuration(Microseconds duration) {
  if (duration.count() == 0) return "0s";
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (duration.count() % unit->micros == 0) {
      return fmt::format("{}{}", duration.count() / unit->micros, unit->suffix);
    }
  }
  return fmt::format("{}us", duration.count());
}

}  // namespace penstock
