// What clients of Connect and gRPC-Web send, and what they get.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/contract/gateway/http_client.h"

namespace penstock::gateway {

// A message with its prefix.
std::string Framed(std::string_view message, std::uint8_t flags = 0);

struct WebFrame {
  int flags = 0;
  std::string message;
};
// What a body has; frames that are incomplete count for nothing.
std::vector<WebFrame> FramesIn(std::string_view body);

// The answer as gRPC-Web's text has it, decoded.
std::string FromText(std::string_view text);
std::string ToText(std::string_view bytes);

}  // namespace penstock::gateway
