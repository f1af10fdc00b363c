// What the reverse proxy is told: upstreams, and the routes to them.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "libs/proxy/balancer.h"
#include "libs/proxy/forwarding.h"
#include "libs/proxy/routes.h"

namespace penstock::gateway {

struct ProxyServer {
  // "http://10.0.0.1:8080" or "https://app.internal"; without a path.
  std::string url;
  int weight = 1;

  bool operator==(const ProxyServer&) const = default;
};

struct ProxyUpstream {
  std::string name;
  std::vector<ProxyServer> servers;
  proxy::Policy policy = proxy::Policy::kRoundRobin;
  // "keep" passes the client's Host on, "upstream" sends the server's own, anything else is sent as
  // it is. Empty: the server's own with https, else the client's.
  std::string host;
  std::chrono::milliseconds connect_timeout{5'000};
  // From the end of the request to the head of the answer.
  std::chrono::milliseconds response_timeout{60'000};
  // Without a byte in a body, or in a tunnel.
  std::chrono::milliseconds idle_timeout{300'000};
  // After the first try; see proxy::MayRetry.
  int retries = 2;
  // Connections to one server, over all loops.
  int connections_max = 1024;
  // An unused connection is closed after this.
  std::chrono::milliseconds keepalive_timeout{60'000};
  std::string tls_ca_file;
  std::string tls_cert_file;
  std::string tls_key_file;
  bool tls_verify = true;
  // Empty: no active checks.
  std::string health_path;
  std::chrono::milliseconds health_interval{10'000};
  std::chrono::milliseconds health_timeout{2'000};
  proxy::HealthThresholds health_thresholds;
  // Ejection after failures in a row; 0: never.
  int consecutive_failures = 5;
  std::chrono::milliseconds ejection_time{30'000};
  int ejected_percent_max = 50;

  bool operator==(const ProxyUpstream&) const = default;
};

struct ProxyRoute {
  std::string host;
  std::string path_prefix;
  std::string path_template;
  std::vector<std::string> methods;
  // Field names with their values; "*": any value.
  std::map<std::string, std::string> headers;
  std::string upstream;
  // Replaces path_prefix; empty: the path is passed on as it is.
  std::string prefix_rewrite;
};

struct ProxyOptions {
  proxy::ForwardedFields forwarded = proxy::ForwardedFields::kAppend;
  std::vector<ProxyUpstream> upstreams;
  std::vector<ProxyRoute> routes;
  // The server of /api in place of the suite's own services; empty: these.
  std::string master_api_url;

  bool empty() const { return routes.empty() && master_api_url.empty(); }
  // What is wrong, by configuration keys.
  std::vector<FieldViolation> Check() const;
};

// The name of the upstream that master_api_url stands for.
inline constexpr char kMasterApi[] = "master-api";

// `routes` as rules, in the same order.
std::vector<proxy::RouteRule> RulesOf(const std::vector<ProxyRoute>& routes);

}  // namespace penstock::gateway
