#include "libs/http/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "absl/status/status.h"
#include "libs/base/percent.h"
#include "libs/base/status.h"
#include "libs/http/message.h"

namespace penstock::http {
namespace {

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kHostMax = 255;

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsUnreserved(char c) {
  return IsAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

absl::Status UrlError(const char* what) { return absl::InvalidArgumentError(what); }

// Splits "host:port" or "[v6]:port" into `url`; the port stays as it is when absent.
absl::Status ParseAuthority(std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) {
    return UrlError("url: user information is not allowed; use an Authorization header");
  }
  std::string_view port;
  std::string_view host = authority;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return UrlError("url: missing ']' after the IPv6 address");
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    const bool is_ipv6 = host.find(':') != std::string_view::npos &&
                         std::all_of(host.begin(), host.end(), [](char c) {
                           return HexValue(c) >= 0 || c == ':' || c == '.';
                         });
    if (!is_ipv6) return UrlError("url: expected an IPv6 address between '[' and ']'");
  } else {
    const std::size_t colon = authority.find(':');
    host = authority.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
    const bool is_name = std::all_of(host.begin(), host.end(), [](char c) {
      return IsAlphanumeric(c) || c == '-' || c == '.' || c == '_';
    });
    if (!is_name) {
      return UrlError("url: the host may hold letters, digits, '-', '.' and '_' only");
    }
  }
  if (host.empty()) return UrlError("url: the host is missing");
  if (host.size() > kHostMax) return UrlError("url: the host is longer than 255 bytes");
  url.host = host;
  std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (port.empty()) return absl::OkStatus();
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
  if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() ||
      url.port == 0) {
    return UrlError("url: expected a port between 1 and 65535 after the host");
  }
  return absl::OkStatus();
}

}  // namespace

std::string Url::Authority() const {
  std::string result = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
  if (port != (is_tls ? kHttpsPort : kHttpPort)) result += fmt::format(":{}", port);
  return result;
}

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) {
      return UrlError("url: spaces, control and non-ASCII bytes must be percent-encoded");
    }
  }
  Url url;
  const std::size_t scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, std::min(scheme_end, text.size()));
  if (scheme_end == std::string_view::npos ||
      !(EqualsIgnoreCase(scheme, "http") || EqualsIgnoreCase(scheme, "https"))) {
    return UrlError("url: expected an absolute URL that starts with http:// or https://");
  }
  url.is_tls = scheme.size() == 5;
  url.port = url.is_tls ? kHttpsPort : kHttpPort;
  std::string_view rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t authority_end = std::min(rest.find_first_of("/?\\"), rest.size());
  if (authority_end < rest.size() && rest[authority_end] == '\\') {
    return UrlError("url: '\\' is not allowed in the host");
  }
  RETURN_IF_ERROR(ParseAuthority(rest.substr(0, authority_end), url));
  rest.remove_prefix(authority_end);
  if (rest.empty() || rest.front() != '/') url.target = "/";
  url.target += rest;
  return url;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(
          fmt::format("'%' at byte {} must be followed by two hexadecimal digits", i));
    }
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c)) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return result;
}

absl::StatusOr<QueryParameters> ParseQuery(std::string_view query) {
  QueryParameters parameters;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    std::string pair(query.substr(0, end));
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    std::replace(pair.begin(), pair.end(), '+', ' ');
    const std::string_view view(pair);
    const std::size_t equals = std::min(view.find('='), view.size());
    absl::StatusOr<std::string> name = PercentDecode(view.substr(0, equals));
    absl::StatusOr<std::string> value =
        PercentDecode(view.substr(std::min(equals + 1, view.size())));
    if (!name.ok() || !value.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("query parameter {}: '%' must be followed by two hexadecimal digits",
                      parameters.size() + 1));
    }
    parameters.emplace_back(*std::move(name), *std::move(value));
  }
  return parameters;
}

std::string EncodeQuery(const QueryParameters& parameters) {
  std::string result;
  for (const auto& [name, value] : parameters) {
    if (!result.empty()) result += '&';
    result += PercentEncode(name);
    result += '=';
    result += PercentEncode(value);
  }
  return result;
}

}  // namespace penstock::http
