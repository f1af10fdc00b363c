#include "services/gateway/api/proxy_options.h"

#include <fmt/format.h>

#include <set>
#include <string_view>
#include <utility>

#include "libs/http/message.h"
#include "libs/http/url.h"
#include "services/gateway/domain/reserved_paths.h"

namespace penstock::gateway {
namespace {

// Names are labels of metrics.
constexpr std::size_t kUpstreamsMax = 100;
constexpr std::size_t kRoutesMax = 1000;
constexpr std::string_view kAnyValue = "*";

class Checker {
 public:
  void Add(std::string field, std::string description) {
    violations_.push_back({std::move(field), std::move(description)});
  }

  void CheckServerUrl(const std::string& field, const std::string& text) {
    const auto url = http::ParseUrl(text);
    if (!url.ok()) {
      Add(field, fmt::format("expected http://host:port or https://host:port, not \"{}\"", text));
    } else if (url->target != "/") {
      Add(field, "expected no path; a route's prefix_rewrite changes paths");
    }
  }

  void CheckUpstream(const ProxyUpstream& upstream, const std::string& at) {
    if (!http::IsValidHeader(upstream.name, "") || upstream.name == kMasterApi) {
      Add(at + "name",
          fmt::format("expected letters, digits and dashes, and not \"{}\"", kMasterApi));
    } else if (!names_.insert(upstream.name).second) {
      Add(at + "name", fmt::format("\"{}\" is the name of an earlier upstream", upstream.name));
    }
    if (upstream.servers.empty() || upstream.servers.size() > proxy::kAddressesMax) {
      Add(at + "servers", fmt::format("expected 1 to {} servers", proxy::kAddressesMax));
    }
    for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
      CheckServerUrl(fmt::format("{}servers[{}].url", at, i), upstream.servers[i].url);
    }
    if (!http::IsValidHeader("host", upstream.host) ||
        upstream.host.find_first_of(" /@") != std::string::npos) {
      Add(at + "host", "expected keep, upstream, or a name with or without a port");
    }
    if (!upstream.health_path.empty() && !upstream.health_path.starts_with('/')) {
      Add(at + "health_check.path", "expected a path that starts with a slash");
    }
    if (upstream.tls_cert_file.empty() != upstream.tls_key_file.empty()) {
      Add(at + "tls.cert_file", "cert_file and key_file go together");
    }
  }

  void CheckRoute(const ProxyRoute& route, const std::string& at) {
    if (!names_.contains(route.upstream)) {
      Add(at + "upstream",
          fmt::format("\"{}\" is not the name of an upstream in proxy.upstreams", route.upstream));
    }
    const std::string& path = route.path_prefix.empty() ? route.path_template : route.path_prefix;
    if (route.host.empty() && IsReservedPath(path)) {
      Add(at + (route.path_prefix.empty() ? "path_template" : "path_prefix"),
          fmt::format("\"{}\" is the gateway's own; name a host, and all of its paths are yours",
                      path));
    }
    if (route.prefix_rewrite.empty()) return;
    if (route.path_prefix.empty()) Add(at + "prefix_rewrite", "needs path_prefix");
    if (!route.prefix_rewrite.starts_with('/') ||
        route.prefix_rewrite.find_first_of("?# ") != std::string::npos) {
      Add(at + "prefix_rewrite", "expected a path that starts with a slash");
    }
  }

  std::vector<FieldViolation> Take() { return std::move(violations_); }

 private:
  std::vector<FieldViolation> violations_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<proxy::RouteRule> RulesOf(const std::vector<ProxyRoute>& routes) {
  std::vector<proxy::RouteRule> rules;
  for (const ProxyRoute& route : routes) {
    proxy::RouteRule rule{.host = route.host,
                          .path_prefix = route.path_prefix,
                          .path_template = route.path_template,
                          .methods = route.methods,
                          .headers = {}};
    for (const auto& [name, value] : route.headers) {
      rule.headers.push_back({name, value == kAnyValue ? std::nullopt : std::optional(value)});
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<FieldViolation> ProxyOptions::Check() const {
  Checker checker;
  if (upstreams.size() > kUpstreamsMax) {
    checker.Add("proxy.upstreams", fmt::format("more than {}", kUpstreamsMax));
  }
  if (routes.size() > kRoutesMax) {
    checker.Add("proxy.routes", fmt::format("more than {}", kRoutesMax));
  }
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    checker.CheckUpstream(upstreams[i], fmt::format("proxy.upstreams[{}].", i));
  }
  for (std::size_t i = 0; i < routes.size(); ++i) {
    checker.CheckRoute(routes[i], fmt::format("proxy.routes[{}].", i));
  }
  const auto table = proxy::Routes::Create(RulesOf(routes));
  for (const FieldViolation& violation : FieldViolationsOf(table.status())) {
    checker.Add("proxy.routes" + violation.field, violation.description);
  }
  if (!master_api_url.empty()) checker.CheckServerUrl("master_api.url", master_api_url);
  return checker.Take();
}

}  // namespace penstock::gateway
