#include "libs/config/listen_address.h"

#include <arpa/inet.h>

#include <charconv>

#include "fmt/format.h"

namespace penstock::config {
namespace {

absl::Status AddressError(std::string_view text) {
  return absl::InvalidArgumentError(fmt::format(
      "expected an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", not \"{}\"",
      text));
}

bool IsAddress(int family, const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(family, text.c_str(), bytes) == 1;
}

}  // namespace

std::string ListenAddress::ToString() const {
  const bool is_v6 = address.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

bool ListenAddress::IsLoopback() const {
  return address == "::1" || (address.starts_with("127.") && IsAddress(AF_INET, address));
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return AddressError(text);
  ListenAddress result;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const char* const port_end = port.data() + port.size();
  const auto [end, error] = std::from_chars(port.data(), port_end, result.port);
  if (port.empty() || error != std::errc() || end != port_end) return AddressError(text);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    result.address = std::string(host.substr(1, host.size() - 2));
    if (!IsAddress(AF_INET6, result.address)) return AddressError(text);
    return result;
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host == "*") host = "0.0.0.0";
  result.address = std::string(host);
  if (!IsAddress(AF_INET, result.address)) return AddressError(text);
  return result;
}

}  // namespace penstock::config
