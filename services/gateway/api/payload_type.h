// What kind of payload a request really has.
#pragma once

#include <string_view>

#include "libs/http/message.h"

namespace penstock::gateway {

// The Content-Type of a payload for a function or an event. Command-line clients call every body a
// form unless told otherwise; a body that begins like a JSON object or array is none (a form would
// have percent-encoded the brace), so it counts as JSON. Valid as long as the request.
inline std::string_view PayloadContentType(const http::Request& request) {
  const std::string_view declared = request.headers.Get("Content-Type");
  if (declared != "application/x-www-form-urlencoded") return declared;
  const std::size_t first = request.body.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return declared;
  const bool json = request.body[first] == '{' || request.body[first] == '[';
  return json ? "application/json" : declared;
}

}  // namespace penstock::gateway
