#include "services/gateway/domain/web_guard.h"

#include <fmt/format.h>

#include "libs/base/status.h"
#include "services/gateway/domain/route_table.h"

namespace penstock::gateway {
namespace {

absl::Status Refused(std::string_view header, std::string_view why) {
  return WithReason(absl::PermissionDeniedError(fmt::format("{}: {}", header, why)),
                    "CROSS_SITE_REQUEST");
}

// "http://host:port" without its scheme; empty for "null" and what is no origin.
std::string_view AuthorityOf(std::string_view origin) {
  const std::size_t mark = origin.find("://");
  return mark == std::string_view::npos ? std::string_view() : origin.substr(mark + 3);
}

}  // namespace

bool IsOrigin(std::string_view text) {
  const std::size_t mark = text.find("://");
  const std::string_view scheme = text.substr(0, mark);
  if (mark == std::string_view::npos || (scheme != "http" && scheme != "https")) return false;
  const std::string_view authority = text.substr(mark + 3);
  const std::size_t port = authority.rfind(':');
  const bool has_port = port != std::string_view::npos && authority.back() != ']';
  const std::string_view host = authority.substr(0, has_port ? port : authority.size());
  if (host.empty()) return false;
  if (has_port) {
    const std::string_view digits = authority.substr(port + 1);
    if (digits.empty() || digits.size() > 5) return false;
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return false;
    if (digits == (scheme == "http" ? "80" : "443")) return false;
  }
  constexpr std::string_view kHost = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
  if (!host.starts_with('[')) return host.find_first_not_of(kHost) == std::string_view::npos;
  return host.ends_with(']') && host.size() > 2 &&
         host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdef:.") ==
             std::string_view::npos;
}

WebGuard::WebGuard(const std::vector<std::string>& hosts, const std::vector<std::string>& origins)
    : hosts_{"localhost", "127.0.0.1", "[::1]"}, origins_(origins.begin(), origins.end()) {
  for (const std::string& host : hosts) {
    if (host == "*") any_ = true;
    hosts_.insert(HostName(host));
  }
}

bool WebGuard::Knows(std::string_view host) const {
  return any_ || hosts_.contains(HostName(host));
}

bool WebGuard::AllowsOrigin(std::string_view origin) const {
  return !origin.empty() && (origins_.contains(origin) || origins_.contains("*"));
}

absl::Status WebGuard::Check(const WebRequest& request) const {
  if (!Knows(request.host)) {
    return Refused("Host", fmt::format("\"{}\" is not a name of this gateway; http.hosts lists "
                                       "further ones",
                                       request.host.substr(0, 80)));
  }
  if (AllowsOrigin(request.origin)) return absl::OkStatus();
  const std::string_view site = request.sec_fetch_site;
  if (site == "cross-site" || site == "same-site") {
    return Refused("Sec-Fetch-Site", "a page of another origin must not call this API");
  }
  if (request.origin.empty()) return absl::OkStatus();
  // A page of another port of this machine is another origin: all of the authority must agree.
  if (AuthorityOf(request.origin) != request.host) {
    return Refused("Origin", "a page of another origin must not call this API");
  }
  return absl::OkStatus();
}

}  // namespace penstock::gateway
