#include "services/function-manager/domain/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/ids.h"
#include "libs/base/status.h"

namespace penstock::functions {
namespace {

constexpr std::int32_t kPageSizeDefault = 50;
constexpr std::int32_t kPageSizeMax = 1000;
constexpr std::size_t kDigestLength = 16;
// Longer than any token that MakePageToken makes of an id or a version.
constexpr std::size_t kTokenLengthMax = 512;

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Empty when `hex` is not hexadecimal.
std::string FromHex(std::string_view hex) {
  std::string bytes;
  if (hex.size() % 2 != 0) return bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = DigitOf(hex[i]);
    const int low = DigitOf(hex[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::size_t> CheckPageSize(std::int32_t page_size) {
  if (page_size < 0) {
    return FieldError("page_size",
                      fmt::format("is {}: expected 0 (default) to {}", page_size, kPageSizeMax));
  }
  if (page_size == 0) return static_cast<std::size_t>(kPageSizeDefault);
  return static_cast<std::size_t>(std::min(page_size, kPageSizeMax));
}

std::string MakePageToken(std::string_view query, std::string_view last) {
  const std::string digest = Sha256Hex(fmt::format("{}\n{}\n{}", query.size(), query, last));
  return digest.substr(0, kDigestLength) + Hex(last);
}

absl::StatusOr<std::string> ParsePageToken(std::string_view query, std::string_view token) {
  if (token.empty()) return std::string();
  if (token.size() > kDigestLength && token.size() <= kTokenLengthMax) {
    std::string last = FromHex(token.substr(kDigestLength));
    if (!last.empty() && MakePageToken(query, last) == token) return last;
  }
  return FieldError("page_token",
                    "is not a token of this list: expected next_page_token of an earlier answer "
                    "with the same parent and filters");
}

}  // namespace penstock::functions
