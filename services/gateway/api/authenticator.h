// Who calls.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/http/message.h"

namespace penstock::gateway {

// Immutable, thread-safe.
class Authenticator {
 public:
  // Lets everybody in, without a principal.
  Authenticator() = default;

  // Wants an API key. The file has a line "principal:key" for each key; empty lines and lines that
  // begin with # count for nothing. Errors name `auth_keys_file` and the line.
  static absl::StatusOr<Authenticator> LoadKeys(const std::string& path);

  // The principal of a request, by `Authorization: Bearer <key>` or `X-API-Key: <key>`; empty when
  // no key is wanted. UNAUTHENTICATED when a key is missing or unknown.
  absl::StatusOr<std::string> Check(const http::Headers& headers) const;

  // The same for the value of an Authorization header and a bare key; either may be empty.
  absl::StatusOr<std::string> Check(std::string_view authorization, std::string_view key) const;

  // Whether a field, by its name in lower case, holds what Check takes for the key of a request
  // with this X-API-Key: it is not to be passed on. An empty X-API-Key is none.
  bool HoldsKey(std::string_view field, std::string_view api_key) const;

  // Takes away what Check took for the key, before a request is passed on; other credentials stay.
  void RemoveKey(http::Headers& headers) const;

  // Whether both let the same callers in.
  bool operator==(const Authenticator&) const = default;

 private:
  bool wants_key_ = false;
  // Principals by the SHA-256 of their key, so that a look-up says nothing about keys by its time.
  std::map<std::string, std::string> principals_;
};

}  // namespace penstock::gateway
