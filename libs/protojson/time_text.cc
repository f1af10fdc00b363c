#include "libs/protojson/time_text.h"

#include <chrono>
#include <cstdint>

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

// Writes text into a buffer, from its start.
class Digits {
 public:
  explicit Digits(TimeBuffer* buffer) : begin_(buffer->data()), to_(begin_) {}

  void Put(char c) { *to_++ = c; }
  // `value` with leading zeros, in exactly `width` digits.
  void Put(std::int64_t value, int width) {
    for (int i = width - 1; i >= 0; --i, value /= 10) to_[i] = static_cast<char>('0' + value % 10);
    to_ += width;
  }
  // `value` in as many digits as it has.
  void PutWhole(std::int64_t value) {
    int width = 1;
    for (std::int64_t rest = value / 10; rest != 0; rest /= 10) ++width;
    Put(value, width);
  }
  // Nanoseconds in 0, 3, 6 or 9 digits after a point.
  void PutFraction(std::int32_t nanos) {
    if (nanos == 0) return;
    Put('.');
    if (nanos % 1'000'000 == 0) {
      Put(nanos / 1'000'000, 3);
    } else if (nanos % 1000 == 0) {
      Put(nanos / 1000, 6);
    } else {
      Put(nanos, 9);
    }
  }
  std::string_view text() const { return {begin_, static_cast<std::size_t>(to_ - begin_)}; }

 private:
  char* begin_;
  char* to_;
};

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

std::string_view TimestampText(const Timestamp& timestamp, TimeBuffer* buffer) {
  if (!IsValidTimestamp(timestamp)) return {};
  const std::chrono::sys_seconds time{std::chrono::seconds(timestamp.seconds())};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto left = static_cast<int>((time - day).count());
  Digits out(buffer);
  out.Put(static_cast<int>(date.year()), 4);
  out.Put('-');
  out.Put(static_cast<unsigned>(date.month()), 2);
  out.Put('-');
  out.Put(static_cast<unsigned>(date.day()), 2);
  out.Put('T');
  out.Put(left / 3600, 2);
  out.Put(':');
  out.Put(left / 60 % 60, 2);
  out.Put(':');
  out.Put(left % 60, 2);
  out.PutFraction(timestamp.nanos());
  out.Put('Z');
  return out.text();
}

bool AppendTimestampText(const Timestamp& timestamp, std::string* out) {
  TimeBuffer buffer;
  const std::string_view text = TimestampText(timestamp, &buffer);
  out->append(text);
  return !text.empty();
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

std::string_view DurationText(const Duration& duration, TimeBuffer* buffer) {
  const std::int64_t seconds = duration.seconds();
  const std::int32_t nanos = duration.nanos();
  if (seconds < -kMaxDurationSeconds || seconds > kMaxDurationSeconds ||
      nanos <= -kNanosPerSecond || nanos >= kNanosPerSecond) {
    return {};
  }
  if ((seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) return {};
  Digits out(buffer);
  if (seconds < 0 || nanos < 0) out.Put('-');
  out.PutWhole(seconds < 0 ? -seconds : seconds);
  out.PutFraction(nanos < 0 ? -nanos : nanos);
  out.Put('s');
  return out.text();
}

bool AppendDurationText(const Duration& duration, std::string* out) {
  TimeBuffer buffer;
  const std::string_view text = DurationText(duration, &buffer);
  out->append(text);
  return !text.empty();
}

}  // namespace penstock::protojson
