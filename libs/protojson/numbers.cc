#include "libs/protojson/numbers.h"

#include <absl/strings/charconv.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace penstock::protojson {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the start of `text` off it.
std::string_view TakeDigits(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && IsDigit(text[size])) ++size;
  const std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  return digits;
}

// The parts of a number in JSON's grammar.
struct Decimal {
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;  // cut to what makes a difference for any number that fits a text
};

bool Split(std::string_view text, Decimal* decimal) {
  if (text.starts_with('-')) {
    decimal->negative = true;
    text.remove_prefix(1);
  }
  decimal->whole = TakeDigits(text);
  if (decimal->whole.empty() || (decimal->whole.size() > 1 && decimal->whole[0] == '0')) {
    return false;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    decimal->fraction = TakeDigits(text);
    if (decimal->fraction.empty()) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    const bool minus = text.starts_with('-');
    if (minus || text.starts_with('+')) text.remove_prefix(1);
    const std::string_view digits = TakeDigits(text);
    if (digits.empty()) return false;
    constexpr std::int64_t kCut = std::int64_t{1} << 40;
    const auto result =
        std::from_chars(digits.data(), digits.data() + digits.size(), decimal->exponent);
    if (result.ec != std::errc() || decimal->exponent > kCut) decimal->exponent = kCut;
    if (minus) decimal->exponent = -decimal->exponent;
  }
  return text.empty();
}

// The magnitude of `decimal` as an integer.
NumberResult Magnitude(const Decimal& decimal, std::uint64_t* magnitude) {
  // The digits are one run with the decimal point after `point` of them; zeros at both ends mean
  // nothing.
  const std::size_t size = decimal.whole.size() + decimal.fraction.size();
  const auto digit = [&](std::size_t i) {
    return i < decimal.whole.size() ? decimal.whole[i] : decimal.fraction[i - decimal.whole.size()];
  };
  std::size_t first = 0;
  while (first < size && digit(first) == '0') ++first;
  *magnitude = 0;
  if (first == size) return NumberResult::kOk;
  std::size_t last = size;
  while (digit(last - 1) == '0') --last;
  const std::int64_t point = static_cast<std::int64_t>(decimal.whole.size()) + decimal.exponent;
  if (point < static_cast<std::int64_t>(last)) return NumberResult::kNotInteger;
  if (point - static_cast<std::int64_t>(first) > 20) return NumberResult::kOutOfRange;
  for (std::int64_t i = static_cast<std::int64_t>(first); i < point; ++i) {
    const auto place = static_cast<std::size_t>(i);
    const auto next = static_cast<std::uint64_t>(place < last ? digit(place) - '0' : 0);
    if (__builtin_mul_overflow(*magnitude, 10u, magnitude) ||
        __builtin_add_overflow(*magnitude, next, magnitude)) {
      return NumberResult::kOutOfRange;
    }
  }
  return NumberResult::kOk;
}

// `Integer` is a 64-bit type.
template <typename Integer>
NumberResult ParsePlain(std::string_view text, Integer* value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value);
  const bool canonical = text.size() < 2 || (text[0] != '0' && text[0] != '-');
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && canonical
             ? NumberResult::kOk
             : NumberResult::kMalformed;
}

template <typename Narrow, typename Wide>
NumberResult Narrowed(NumberResult result, Wide wide, Narrow* value) {
  if (result != NumberResult::kOk) return result;
  if (wide < std::numeric_limits<Narrow>::min() || wide > std::numeric_limits<Narrow>::max()) {
    return NumberResult::kOutOfRange;
  }
  *value = static_cast<Narrow>(wide);
  return NumberResult::kOk;
}

template <typename Float>
NumberResult ParseFloating(std::string_view text, Float* value) {
  if (!IsJsonNumber(text)) return NumberResult::kMalformed;
  const auto result = absl::from_chars(text.data(), text.data() + text.size(), *value);
  // Out of range covers both ends; Abseil then gives the largest or smallest number.
  if (result.ec == std::errc::result_out_of_range && std::abs(*value) > Float{1}) {
    return NumberResult::kOutOfRange;
  }
  return NumberResult::kOk;
}

template <typename Float>
NumberResult ParseFloatingText(std::string_view text, Float* value) {
  using Limits = std::numeric_limits<Float>;
  if (text == "NaN") {
    *value = Limits::quiet_NaN();
  } else if (text == "Infinity") {
    *value = Limits::infinity();
  } else if (text == "-Infinity") {
    *value = -Limits::infinity();
  } else {
    return ParseFloating(text, value);
  }
  return NumberResult::kOk;
}

}  // namespace

bool IsJsonNumber(std::string_view text) {
  Decimal decimal;
  return Split(text, &decimal);
}

NumberResult ParseInt64(std::string_view text, std::int64_t* value) {
  if (ParsePlain(text, value) == NumberResult::kOk) return NumberResult::kOk;
  Decimal decimal;
  if (!Split(text, &decimal)) return NumberResult::kMalformed;
  std::uint64_t magnitude;
  const NumberResult result = Magnitude(decimal, &magnitude);
  if (result != NumberResult::kOk) return result;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kMax + (decimal.negative ? 1 : 0)) return NumberResult::kOutOfRange;
  *value = static_cast<std::int64_t>(decimal.negative ? 0 - magnitude : magnitude);
  return NumberResult::kOk;
}

NumberResult ParseUint64(std::string_view text, std::uint64_t* value) {
  if (ParsePlain(text, value) == NumberResult::kOk) return NumberResult::kOk;
  Decimal decimal;
  if (!Split(text, &decimal)) return NumberResult::kMalformed;
  const NumberResult result = Magnitude(decimal, value);
  if (result == NumberResult::kOk && decimal.negative && *value != 0) {
    return NumberResult::kOutOfRange;
  }
  return result;
}

NumberResult ParseInt32(std::string_view text, std::int32_t* value) {
  std::int64_t wide = 0;
  const NumberResult result = ParseInt64(text, &wide);
  return Narrowed(result, wide, value);
}

NumberResult ParseUint32(std::string_view text, std::uint32_t* value) {
  std::uint64_t wide = 0;
  const NumberResult result = ParseUint64(text, &wide);
  return Narrowed(result, wide, value);
}

NumberResult ParseDouble(std::string_view text, double* value) {
  return ParseFloating(text, value);
}

NumberResult ParseFloat(std::string_view text, float* value) { return ParseFloating(text, value); }

NumberResult ParseDoubleText(std::string_view text, double* value) {
  return ParseFloatingText(text, value);
}

NumberResult ParseFloatText(std::string_view text, float* value) {
  return ParseFloatingText(text, value);
}

}  // namespace penstock::protojson
