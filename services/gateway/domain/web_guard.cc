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

WebGuard::WebGuard(const std::vector<std::string>& hosts)
    : hosts_{"localhost", "127.0.0.1", "[::1]"} {
  for (const std::string& host : hosts) {
    if (host == "*") any_ = true;
    hosts_.insert(HostName(host));
  }
}

bool WebGuard::Knows(std::string_view host) const {
  return any_ || hosts_.contains(HostName(host));
}

absl::Status WebGuard::Check(const WebRequest& request) const {
  if (!Knows(request.host)) {
    return Refused("Host", fmt::format("\"{}\" is not a name of this gateway; http.hosts lists "
                                       "further ones",
                                       request.host.substr(0, 80)));
  }
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
