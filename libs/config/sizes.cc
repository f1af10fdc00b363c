#include <array>
#include <charconv>

#include "fmt/format.h"
#include "libs/config/binder.h"

namespace penstock::config {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t bytes;
};
// Those that FormatBytes may choose come first, greatest first.
constexpr std::array<Unit, 10> kUnits = {{
    {"TiB", std::int64_t{1} << 40},
    {"GiB", std::int64_t{1} << 30},
    {"MiB", std::int64_t{1} << 20},
    {"KiB", std::int64_t{1} << 10},
    {"TB", 1'000'000'000'000},
    {"GB", 1'000'000'000},
    {"MB", 1'000'000},
    {"kB", 1'000},
    {"B", 1},
    {"", 1},
}};

absl::Status BytesError(std::string_view text) {
  return absl::InvalidArgumentError(
      fmt::format("expected a size such as \"512\", \"64KiB\" or \"10MB\", not \"{}\"", text));
}

}  // namespace

absl::StatusOr<std::int64_t> ParseBytes(std::string_view text) {
  std::int64_t number = 0;
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, number);
  if (error != std::errc() || number < 0) return BytesError(text);
  std::string_view suffix(end, static_cast<std::size_t>(text_end - end));
  while (suffix.starts_with(' ')) suffix.remove_prefix(1);
  for (const Unit& unit : kUnits) {
    if (suffix != unit.suffix) continue;
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(number, unit.bytes, &bytes)) return BytesError(text);
    return bytes;
  }
  return BytesError(text);
}

std::string FormatBytes(std::int64_t bytes) {
  for (const Unit& unit : kUnits) {
    const bool is_binary = unit.suffix.ends_with("iB");
    if (is_binary && bytes != 0 && bytes % unit.bytes == 0) {
      return fmt::format("{}{}", bytes / unit.bytes, unit.suffix);
    }
  }
  return fmt::format("{}", bytes);
}

}  // namespace penstock::config
