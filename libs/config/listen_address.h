// Where a server listens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::config {

// A numeric address and a port.
struct ListenAddress {
  // IPv4 or IPv6 without brackets.
  std::string address = "127.0.0.1";
  // 0 picks a free port.
  std::uint16_t port = 0;

  // "127.0.0.1:8080" or "[::1]:8080".
  std::string ToString() const;
  // True for 127.0.0.0/8 and ::1.
  bool IsLoopback() const;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// Parses "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (127.0.0.1) or "*:8080" (0.0.0.0).
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace penstock::config
