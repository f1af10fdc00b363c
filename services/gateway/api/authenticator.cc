#include "services/gateway/api/authenticator.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

constexpr char kField[] = "auth_keys_file";
constexpr std::size_t kKeyLengthMin = 16;
constexpr std::size_t kPrincipalLengthMax = 128;

bool IsPrincipal(std::string_view text) {
  return !text.empty() && text.size() <= kPrincipalLengthMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

absl::Status Refused(std::string_view why) {
  return WithReason(absl::UnauthenticatedError(std::string(why)), "API_KEY_INVALID");
}

}  // namespace

absl::StatusOr<Authenticator> Authenticator::LoadKeys(const std::string& path) {
  std::ifstream file(path);
  if (!file) return FieldError(kField, fmt::format("cannot read \"{}\"", path));
  Authenticator authenticator;
  authenticator.wants_key_ = true;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::size_t colon = line.rfind(':');
    const std::string principal = line.substr(0, colon);
    if (colon == std::string::npos || !IsPrincipal(principal) ||
        line.size() - colon - 1 < kKeyLengthMin) {
      return FieldError(kField,
                        fmt::format("line {} of {}: expected \"principal:key\" with a key of "
                                    "at least {} characters",
                                    number, path, kKeyLengthMin));
    }
    authenticator.principals_[Sha256Hex(line.substr(colon + 1))] = principal;
  }
  if (authenticator.principals_.empty()) {
    return FieldError(kField, fmt::format("{} has no key: nobody could call", path));
  }
  return authenticator;
}

absl::StatusOr<std::string> Authenticator::Check(const http::Headers& headers) const {
  if (!wants_key_) return std::string();
  return Check(headers.Get("Authorization"), headers.Get("X-API-Key"));
}

bool Authenticator::HoldsKey(std::string_view field, std::string_view api_key) const {
  return wants_key_ && (field == "x-api-key" || (field == "authorization" && api_key.empty()));
}

void Authenticator::RemoveKey(http::Headers& headers) const {
  if (HoldsKey("authorization", headers.Get("X-API-Key"))) headers.Remove("Authorization");
  if (wants_key_) headers.Remove("X-API-Key");
}

absl::StatusOr<std::string> Authenticator::Check(std::string_view authorization,
                                                 std::string_view key) const {
  if (!wants_key_) return std::string();
  constexpr std::string_view kBearer = "bearer ";
  if (key.empty() && authorization.size() > kBearer.size() &&
      http::EqualsIgnoreCase(authorization.substr(0, kBearer.size()), kBearer)) {
    key = authorization.substr(kBearer.size());
  }
  if (key.empty()) {
    return Refused("Authorization: expected \"Bearer <API key>\", or the key in X-API-Key");
  }
  const auto found = principals_.find(Sha256Hex(key));
  if (found == principals_.end()) return Refused("Authorization: the API key is not known");
  return found->second;
}

}  // namespace penstock::gateway
