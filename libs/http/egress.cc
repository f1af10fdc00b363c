#include "libs/http/egress.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "libs/base/status.h"

namespace penstock::http {
namespace {

using Address = std::array<std::uint8_t, 16>;

constexpr int kIpv4PrefixOffset = 96;

struct Parsed {
  Address address;
  bool is_ipv4;
};

std::optional<Parsed> ParseAddress(std::string_view text) {
  const std::string copy(text);
  Parsed parsed{};
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  if (inet_pton(AF_INET, copy.c_str(), parsed.address.data() + 12) == 1) {
    parsed.address[10] = parsed.address[11] = 0xff;
    parsed.is_ipv4 = true;
    return parsed;
  }
  if (inet_pton(AF_INET6, copy.c_str(), parsed.address.data()) == 1) return parsed;
  return std::nullopt;
}

bool HasPrefix(const Address& address, const Address& network, int prefix) {
  const int bytes = prefix / 8;
  if (std::memcmp(address.data(), network.data(), bytes) != 0) return false;
  const int bits = prefix % 8;
  if (bits == 0) return true;
  const int mask = 0xff << (8 - bits);
  return (address[bytes] & mask) == (network[bytes] & mask);
}

struct Range {
  const char* network;
  int prefix;
  const char* kind;
};

// The ranges of the IANA special-purpose registries that are not globally reachable.
constexpr Range kRanges4[] = {
    {"0.0.0.0", 8, "unspecified"},        {"10.0.0.0", 8, "private"},
    {"100.64.0.0", 10, "shared"},         {"127.0.0.0", 8, "loopback"},
    {"169.254.0.0", 16, "link-local"},    {"172.16.0.0", 12, "private"},
    {"192.0.0.0", 24, "reserved"},        {"192.0.2.0", 24, "documentation"},
    {"192.88.99.0", 24, "reserved"},      {"192.168.0.0", 16, "private"},
    {"198.18.0.0", 15, "benchmarking"},   {"198.51.100.0", 24, "documentation"},
    {"203.0.113.0", 24, "documentation"}, {"224.0.0.0", 4, "multicast"},
    {"255.255.255.255", 32, "broadcast"}, {"240.0.0.0", 4, "reserved"},
};
constexpr Range kRanges6[] = {
    {"::", 128, "unspecified"},          {"::1", 128, "loopback"},
    {"100::", 64, "discard-only"},       {"2001::", 23, "reserved"},
    {"2001:db8::", 32, "documentation"}, {"3fff::", 20, "documentation"},
    {"5f00::", 16, "reserved"},          {"fc00::", 7, "unique-local"},
    {"fe80::", 10, "link-local"},        {"fec0::", 10, "site-local"},
    {"ff00::", 8, "multicast"},
};

Address MapIpv4(const std::uint8_t* bytes) {
  Address mapped{};
  mapped[10] = mapped[11] = 0xff;
  std::memcpy(mapped.data() + 12, bytes, 4);
  return mapped;
}

// The IPv4 address that an IPv6 address leads to, when it is a form that carries one.
std::optional<Address> EmbeddedIpv4(const Address& address) {
  const auto has = [&](const char* network, int prefix) {
    return HasPrefix(address, ParseAddress(network)->address, prefix);
  };
  if (has("::ffff:0:0", 96)) return address;
  if (has("64:ff9b::", 96) || has("64:ff9b:1::", 48)) return MapIpv4(address.data() + 12);
  if (has("::ffff:0:0:0", 96)) return MapIpv4(address.data() + 12);
  if (has("2002::", 16)) return MapIpv4(address.data() + 2);
  // IPv4-compatible addresses; the unspecified and the loopback address have kinds of their own.
  if (has("::", 96) && (address[12] != 0 || address[13] != 0)) return MapIpv4(address.data() + 12);
  return std::nullopt;
}

const char* KindIn(const Address& address, const Range* begin, const Range* end, int offset) {
  for (const Range* range = begin; range != end; ++range) {
    if (HasPrefix(address, ParseAddress(range->network)->address, range->prefix + offset)) {
      return range->kind;
    }
  }
  return nullptr;
}

// The kind of a non-public address, or null for a public one.
const char* KindOf(const Address& address) {
  if (const std::optional<Address> ipv4 = EmbeddedIpv4(address); ipv4.has_value()) {
    return KindIn(*ipv4, std::begin(kRanges4), std::end(kRanges4), kIpv4PrefixOffset);
  }
  return KindIn(address, std::begin(kRanges6), std::end(kRanges6), 0);
}

}  // namespace

absl::StatusOr<EgressPolicy> EgressPolicy::Create(const Options& options) {
  EgressPolicy policy;
  policy.denied_ports_ = options.denied_ports;
  for (const std::string& entry : options.allow) {
    const std::size_t slash = entry.find('/');
    const std::optional<Parsed> parsed = ParseAddress(entry.substr(0, slash));
    if (!parsed.has_value()) {
      return FieldError("egress.allow", fmt::format("\"{}\" is not a network: expected an address "
                                                    "and a prefix length, as in \"10.1.0.0/16\"",
                                                    entry));
    }
    const int bits_max = parsed->is_ipv4 ? 32 : 128;
    int prefix = bits_max;
    if (slash != std::string::npos) {
      const char* const end = entry.data() + entry.size();
      const auto [stop, error] = std::from_chars(entry.data() + slash + 1, end, prefix);
      if (error != std::errc() || stop != end || prefix < 0 || prefix > bits_max) {
        return FieldError("egress.allow",
                          fmt::format("\"{}\": expected a prefix length between 0 and {} after '/'",
                                      entry, bits_max));
      }
    }
    policy.allow_.push_back({parsed->address, prefix + (parsed->is_ipv4 ? kIpv4PrefixOffset : 0)});
  }
  return policy;
}

absl::Status EgressPolicy::Check(std::string_view address, std::uint16_t port) const {
  if (std::find(denied_ports_.begin(), denied_ports_.end(), port) != denied_ports_.end()) {
    return absl::PermissionDeniedError(
        fmt::format("connections to port {} are refused by egress.denied_ports", port));
  }
  // A zone ("fe80::1%eth0") says where, not what: the address alone decides.
  const std::optional<Parsed> parsed = ParseAddress(address.substr(0, address.find('%')));
  if (!parsed.has_value()) {
    return absl::PermissionDeniedError(
        fmt::format("\"{}\" is not a numeric address and cannot be checked against egress.allow",
                    std::string(address)));
  }
  const char* const kind = KindOf(parsed->address);
  if (kind == nullptr) return absl::OkStatus();
  const std::optional<Address> ipv4 = EmbeddedIpv4(parsed->address);
  for (const Network& network : allow_) {
    if (HasPrefix(parsed->address, network.address, network.prefix)) return absl::OkStatus();
    if (ipv4.has_value() && HasPrefix(*ipv4, network.address, network.prefix)) {
      return absl::OkStatus();
    }
  }
  return absl::PermissionDeniedError(
      fmt::format("{} is a {} address; connections to it are refused unless egress.allow holds it",
                  std::string(address), kind));
}

}  // namespace penstock::http
