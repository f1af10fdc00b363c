// Paths of the front door that a subscription answers.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::broker {

// A method and path, with ":name" segments and a last "*rest".
struct HttpRoute {
  std::string method;
  std::string path;
  std::string host;  // Lower case; empty for any.

  friend bool operator==(const HttpRoute&, const HttpRoute&) = default;
};

// Checks method, path and host, fills in the default method (POST) and puts method and host into
// their canonical case. Errors are fields under "http".
absl::Status CheckAndNormalize(HttpRoute& route);

// What two routes must not have in common: method, host, and the path with parameter names taken
// out.
std::string RouteKey(const HttpRoute& route);

}  // namespace penstock::broker
