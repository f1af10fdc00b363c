#include "libs/http/authority.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace penstock::http {
namespace {

constexpr unsigned kPortMax = 65'535;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool IsNameByte(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool IsPort(std::string_view text) {
  unsigned port = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > kPortMax) return false;
  }
  return true;
}

bool IsName(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      if (text.size() - at < 3 || !IsHexDigit(text[at + 1]) || !IsHexDigit(text[at + 2])) {
        return false;
      }
      at += 2;
    } else if (!IsNameByte(text[at])) {
      return false;
    }
  }
  return !text.empty();
}

bool IsIpv6(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof(terminated)) return false;
  if (text.find('\0') != std::string_view::npos) return false;
  std::memcpy(terminated, text.data(), text.size());
  in6_addr address{};
  return inet_pton(AF_INET6, terminated, &address) == 1;
}

}  // namespace

bool IsAuthority(std::string_view text) {
  std::string_view host = text;
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !IsIpv6(text.substr(1, end - 1))) return false;
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    host = text.substr(0, colon);
    rest = text.substr(colon);
    if (!IsName(host)) return false;
  }
  // A colon without digits is the scheme's own port (RFC 3986, 3.2.3).
  return rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1)));
}

}  // namespace penstock::http
