// The paths that the gateway itself serves.
#pragma once

#include <string_view>

namespace penstock::gateway {

// True for /events, /api, /spaces and what is below them, /events:…, /openapi.json and /_…: no
// HTTP route of a subscription has them, and a proxied route only under a host of its own.
bool IsReservedPath(std::string_view path);

}  // namespace penstock::gateway
