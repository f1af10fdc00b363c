// Which addresses outgoing connections may reach: the guard against requests to internal services.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::http {

// Refuses loopback, private, link-local, unique-local, shared, multicast, unspecified, broadcast,
// documentation and reserved addresses unless a configured network holds them; also when they come
// inside an IPv6 address (IPv4-mapped, NAT64, 6to4). Immutable and thread-safe.
class EgressPolicy {
 public:
  struct Options {
    // CIDR networks ("10.1.0.0/16", "::1/128") or single addresses that are allowed although they
    // are not public.
    std::vector<std::string> allow;
    // TCP ports that are refused for every address.
    std::vector<std::uint16_t> denied_ports;
  };

  // Fails with an error that names the entry of `egress.allow` at fault.
  static absl::StatusOr<EgressPolicy> Create(const Options& options);

  // OK, or PERMISSION_DENIED with a message that names the address, its kind and the config key
  // `egress.allow`
  // (`egress.denied_ports` for a port). `address` is numeric; anything else is refused.
  absl::Status Check(std::string_view address, std::uint16_t port) const;

 private:
  // An address or network in IPv6 form; IPv4 as ::ffff:a.b.c.d.
  struct Network {
    std::array<std::uint8_t, 16> address;
    int prefix;
  };
  std::vector<Network> allow_;
  std::vector<std::uint16_t> denied_ports_;
};

}  // namespace penstock::http
