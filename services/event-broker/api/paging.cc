#include "services/event-broker/api/paging.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::int32_t kPageSizeDefault = 50;
constexpr std::int32_t kPageSizeMax = 1000;
constexpr std::size_t kCheckDigits = 8;

std::string CheckDigits(std::string_view query, std::string_view position) {
  return fmt::format("{:08x}", Crc32c(position, Crc32c(query)));
}

bool IsHex(std::string_view text) {
  return text.size() % 2 == 0 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::size_t> CheckPageSize(std::int32_t page_size) {
  if (page_size < 0) return FieldError("pageSize", "must not be negative");
  if (page_size == 0) return static_cast<std::size_t>(kPageSizeDefault);
  return static_cast<std::size_t>(std::min(page_size, kPageSizeMax));
}

std::string MakePageToken(std::string_view query, std::string_view position) {
  return CheckDigits(query, position) +
         absl::BytesToHexString(absl::string_view(position.data(), position.size()));
}

absl::StatusOr<std::string> ParsePageToken(std::string_view query, std::string_view token) {
  if (token.empty()) return std::string();
  if (token.size() > kCheckDigits && IsHex(token)) {
    const std::string_view hex = token.substr(kCheckDigits);
    const std::string position = absl::HexStringToBytes(absl::string_view(hex.data(), hex.size()));
    if (CheckDigits(query, position) == token.substr(0, kCheckDigits)) return position;
  }
  return FieldError("pageToken",
                    "was not given by an earlier answer to this list with these filters");
}

}  // namespace penstock::broker
