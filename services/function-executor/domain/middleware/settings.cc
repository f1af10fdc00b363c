#include "services/function-executor/domain/middleware/settings.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "services/function-executor/domain/middleware/json_place.h"

namespace penstock::executor {

namespace json = boost::json;

namespace {

constexpr double kMicrosPerSecond = 1'000'000;

// Numbers of 64 bits are written as strings.
std::optional<std::int64_t> IntegerOf(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (!value.is_string()) return std::nullopt;
  const json::string& text = value.as_string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<StepSettings> StepSettings::Parse(std::string_view text) {
  auto value = ParseJsonBody(text);
  if (!value || !value->is_object()) {
    return absl::InvalidArgumentError("the settings are no JSON object");
  }
  StepSettings settings;
  settings.object_ = std::move(value->as_object());
  return settings;
}

const json::value* StepSettings::Find(std::string_view name) const {
  return object_.if_contains({name.data(), name.size()});
}

void StepSettings::Fail(std::string_view name, std::string_view expected) {
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(fmt::format("{}: expected {}", name, expected));
  }
}

bool StepSettings::Flag(std::string_view name) {
  const json::value* const value = Find(name);
  if (value == nullptr) return false;
  if (!value->is_bool()) Fail(name, "true or false");
  return value->is_bool() && value->as_bool();
}

std::int64_t StepSettings::Integer(std::string_view name, std::int64_t otherwise) {
  const json::value* const value = Find(name);
  if (value == nullptr) return otherwise;
  const auto number = IntegerOf(*value);
  if (!number) Fail(name, "an integer");
  return number.value_or(otherwise);
}

double StepSettings::Number(std::string_view name, double otherwise) {
  const json::value* const value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_double()) return value->as_double();
  const auto number = IntegerOf(*value);
  if (!number) Fail(name, "a number");
  return number ? static_cast<double>(*number) : otherwise;
}

Microseconds StepSettings::Duration(std::string_view name, Microseconds otherwise) {
  const json::value* const value = Find(name);
  if (value == nullptr) return otherwise;
  double seconds = -1;
  if (value->is_string()) {
    const json::string& text = value->as_string();
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seconds);
    if (error != std::errc() || stop + 1 != end || *stop != 's') seconds = -1;
  }
  if (!(seconds >= 0 && seconds < 1e9)) {
    Fail(name, "a duration such as \"1.5s\"");
    return otherwise;
  }
  return Microseconds(std::llround(seconds * kMicrosPerSecond));
}

std::string StepSettings::Text(std::string_view name, std::string_view otherwise) {
  const json::value* const value = Find(name);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) {
    Fail(name, "a string");
    return std::string(otherwise);
  }
  return std::string(value->as_string());
}

std::vector<std::string> StepSettings::Texts(std::string_view name) {
  std::vector<std::string> texts;
  const json::value* const value = Find(name);
  if (value == nullptr) return texts;
  if (!value->is_array()) Fail(name, "a list of strings");
  if (!value->is_array()) return texts;
  for (const json::value& element : value->as_array()) {
    if (!element.is_string()) {
      Fail(name, "a list of strings");
      return {};
    }
    texts.emplace_back(element.as_string());
  }
  return texts;
}

std::vector<std::int64_t> StepSettings::Integers(std::string_view name) {
  std::vector<std::int64_t> numbers;
  const json::value* const value = Find(name);
  if (value == nullptr) return numbers;
  if (!value->is_array()) Fail(name, "a list of integers");
  if (!value->is_array()) return numbers;
  for (const json::value& element : value->as_array()) {
    const auto number = IntegerOf(element);
    if (!number) Fail(name, "a list of integers");
    numbers.push_back(number.value_or(0));
  }
  return numbers;
}

}  // namespace penstock::executor
