// URLs: splitting, percent-encoding, query strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::http {

// An absolute http or https URL, as a client needs it.
struct Url {
  bool is_tls = false;
  // Lower case, without the brackets of an IPv6 literal.
  std::string host;
  // Always set: 80 or 443 when the URL names none.
  std::uint16_t port = 0;
  // Path and query, still percent-encoded, starting with '/'; a fragment is dropped.
  std::string target;

  // What belongs in a Host header: brackets around IPv6, and the port unless it is the scheme's.
  std::string Authority() const;
};

// Parses `text`. Refuses other schemes, user information, empty hosts, spaces, control bytes and
// bytes above 0x7f.
absl::StatusOr<Url> ParseUrl(std::string_view text);

// Decodes %XX. A '%' without two hexadecimal digits is an error. '+' stays as it is.
absl::StatusOr<std::string> PercentDecode(std::string_view text);

// Encodes all but RFC 3986's unreserved characters; '/' is encoded too.
std::string PercentEncode(std::string_view text);

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// Splits "a=1&b=%20" into decoded pairs, in order; '+' in it is a space, a name without '=' has an
// empty value.
absl::StatusOr<QueryParameters> ParseQuery(std::string_view query);

// The reverse of ParseQuery.
std::string EncodeQuery(const QueryParameters& parameters);

}  // namespace penstock::http
