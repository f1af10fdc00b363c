#include "libs/protojson/time_text.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <iterator>

namespace penstock::protojson {
namespace {

using google::protobuf::Duration;
using google::protobuf::Timestamp;

constexpr std::int64_t kMinSeconds = -62135596800;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kMaxSeconds = 253402300799;  // 9999-12-31T23:59:59Z
constexpr std::int64_t kMaxDurationSeconds = 315576000000;
constexpr std::int32_t kNanosPerSecond = 1'000'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes a number of exactly `digits` digits off the start of `text`.
bool TakeNumber(std::string_view& text, std::size_t digits, int* value) {
  if (text.size() < digits) return false;
  *value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!IsDigit(text[i])) return false;
    *value = *value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool Take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// Takes 1 to 9 digits after a decimal point off the start of `text`, as nanoseconds.
bool TakeNanos(std::string_view& text, std::int32_t* nanos) {
  *nanos = 0;
  std::int32_t unit = kNanosPerSecond;
  while (!text.empty() && IsDigit(text[0])) {
    unit /= 10;
    if (unit == 0) return false;
    *nanos += (text[0] - '0') * unit;
    text.remove_prefix(1);
  }
  return unit != kNanosPerSecond;
}

// Takes "Z" or "+hh:mm" off the start of `text`.
bool TakeOffset(std::string_view& text, std::int64_t* seconds) {
  *seconds = 0;
  if (Take(text, 'Z') || Take(text, 'z')) return true;
  const bool minus = text.starts_with('-');
  if (!Take(text, minus ? '-' : '+')) return false;
  int hours, minutes;
  if (!TakeNumber(text, 2, &hours) || !Take(text, ':') || !TakeNumber(text, 2, &minutes)) {
    return false;
  }
  if (hours > 23 || minutes > 59) return false;
  *seconds = (hours * 60 + minutes) * 60;
  if (minus) *seconds = -*seconds;
  return true;
}

void AppendFraction(std::int32_t nanos, std::string* out) {
  auto to = std::back_inserter(*out);
  if (nanos == 0) return;
  if (nanos % 1'000'000 == 0) {
    fmt::format_to(to, ".{:03}", nanos / 1'000'000);
  } else if (nanos % 1000 == 0) {
    fmt::format_to(to, ".{:06}", nanos / 1000);
  } else {
    fmt::format_to(to, ".{:09}", nanos);
  }
}

}  // namespace

bool ParseTimestampText(std::string_view text, Timestamp* timestamp) {
  int year, month, day, hour, minute, second;
  if (!TakeNumber(text, 4, &year) || !Take(text, '-') || !TakeNumber(text, 2, &month) ||
      !Take(text, '-') || !TakeNumber(text, 2, &day) || !(Take(text, 'T') || Take(text, 't')) ||
      !TakeNumber(text, 2, &hour) || !Take(text, ':') || !TakeNumber(text, 2, &minute) ||
      !Take(text, ':') || !TakeNumber(text, 2, &second)) {
    return false;
  }
  std::int32_t nanos = 0;
  if (Take(text, '.') && !TakeNanos(text, &nanos)) return false;
  std::int64_t offset;
  if (!TakeOffset(text, &offset) || !text.empty()) return false;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return false;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
  if (seconds < kMinSeconds || seconds > kMaxSeconds) return false;
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(nanos);
  return true;
}

bool IsValidTimestamp(const Timestamp& timestamp) {
  return timestamp.seconds() >= kMinSeconds && timestamp.seconds() <= kMaxSeconds &&
         timestamp.nanos() >= 0 && timestamp.nanos() < kNanosPerSecond;
}

bool AppendTimestampText(const Timestamp& timestamp, std::string* out) {
  if (!IsValidTimestamp(timestamp)) return false;
  const std::chrono::sys_seconds time{std::chrono::seconds(timestamp.seconds())};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto left = static_cast<int>((time - day).count());
  fmt::format_to(std::back_inserter(*out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), left / 3600, left / 60 % 60, left % 60);
  AppendFraction(timestamp.nanos(), out);
  out->push_back('Z');
  return true;
}

bool ParseDurationText(std::string_view text, Duration* duration) {
  const bool negative = Take(text, '-');
  std::int64_t seconds = 0;
  std::size_t digits = 0;
  for (; !text.empty() && IsDigit(text[0]); text.remove_prefix(1), ++digits) {
    seconds = seconds * 10 + (text[0] - '0');
    if (seconds > kMaxDurationSeconds) return false;
  }
  if (digits == 0) return false;
  std::int32_t nanos = 0;
  if (Take(text, '.') && !TakeNanos(text, &nanos)) return false;
  if (text != "s") return false;
  duration->set_seconds(negative ? -seconds : seconds);
  duration->set_nanos(negative ? -nanos : nanos);
  return true;
}

bool AppendDurationText(const Duration& duration, std::string* out) {
  const std::int64_t seconds = duration.seconds();
  const std::int32_t nanos = duration.nanos();
  if (seconds < -kMaxDurationSeconds || seconds > kMaxDurationSeconds ||
      nanos <= -kNanosPerSecond || nanos >= kNanosPerSecond) {
    return false;
  }
  if ((seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) return false;
  if (seconds < 0 || nanos < 0) out->push_back('-');
  fmt::format_to(std::back_inserter(*out), "{}", seconds < 0 ? -seconds : seconds);
  AppendFraction(nanos < 0 ? -nanos : nanos, out);
  out->push_back('s');
  return true;
}

}  // namespace penstock::protojson
