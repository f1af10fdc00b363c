#include "services/gateway/app/proxy_config.h"

#include <chrono>

namespace penstock::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr config::Bounds<Microseconds> kTimeout{milliseconds(1), hours(24)};

void BindServer(config::Binder& binder, ProxyServer* server) {
  binder.String("url", &server->url, "http://host:port or https://host:port");
  binder.Int("weight", &server->weight, "its share of the requests", {1, 1000});
}

void BindUpstream(config::Binder& binder, ProxyUpstream* upstream) {
  binder.String("name", &upstream->name, "for routes, metrics and error messages");
  binder.Structs<ProxyServer>("servers", &upstream->servers, "where it can be reached", BindServer);
  binder.Enum<proxy::Policy>("policy", &upstream->policy,
                             {{"round_robin", proxy::Policy::kRoundRobin},
                              {"least_requests", proxy::Policy::kLeastRequests}},
                             "which server gets a request");
  binder.String("host", &upstream->host,
                "Host for the server: keep (the client's), upstream (the server's own) or a name; "
                "empty: upstream with https, else keep");
  binder.Duration("connect_timeout", &upstream->connect_timeout, "to connect, TLS included",
                  kTimeout);
  binder.Duration("response_timeout", &upstream->response_timeout,
                  "from the end of the request to the head of the answer", kTimeout);
  binder.Duration("idle_timeout", &upstream->idle_timeout,
                  "without a byte in a body, or in a tunnel", kTimeout);
  binder.Int("retries", &upstream->retries, "tries after the first, where they are safe", {0, 10});
  binder.Int("max_connections", &upstream->connections_max, "connections to one server",
             {1, 100'000});
  binder.Duration("keepalive_timeout", &upstream->keepalive_timeout,
                  "an unused connection is closed after this", kTimeout);
  binder.String("tls.ca_file", &upstream->tls_ca_file, "authorities to trust; empty: the system's");
  binder.String("tls.cert_file", &upstream->tls_cert_file, "certificate to present; empty: none");
  binder.String("tls.key_file", &upstream->tls_key_file, "its key");
  binder.Bool("tls.verify", &upstream->tls_verify, "false accepts any certificate");
  binder.String("health_check.path", &upstream->health_path,
                "asked with GET; 2xx and 3xx pass; empty: no checks");
  binder.Duration("health_check.interval", &upstream->health_interval, "between checks", kTimeout);
  binder.Duration("health_check.timeout", &upstream->health_timeout, "of a check", kTimeout);
  binder.Int("health_check.healthy_threshold", &upstream->health_thresholds.healthy,
             "checks in a row that make a server healthy", {1, 100});
  binder.Int("health_check.unhealthy_threshold", &upstream->health_thresholds.unhealthy,
             "failed checks in a row that make it unhealthy", {1, 100});
  binder.Int("outlier_detection.consecutive_failures", &upstream->consecutive_failures,
             "failed requests in a row after which a server gets none for a time; 0: never",
             {0, 1000});
  binder.Duration("outlier_detection.ejection_time", &upstream->ejection_time, "how long",
                  kTimeout);
  binder.Int("outlier_detection.max_ejection_percent", &upstream->ejected_percent_max,
             "of the servers at a time; at least one, never the last one", {1, 100});
}

void BindRoute(config::Binder& binder, ProxyRoute* route) {
  binder.String("host", &route->host, "name, or *.name for all below it; empty: any");
  binder.String("path_prefix", &route->path_prefix,
                "whole segments: /shop takes /shop and /shop/1");
  binder.String("path_template", &route->path_template,
                "in place of path_prefix: /v1/*/orders, /files/**");
  binder.StringList("methods", &route->methods, "empty: any");
  binder.StringMap("headers", &route->headers, "fields that a request must have; \"*\": any value");
  binder.String("upstream", &route->upstream, "name of an upstream");
  binder.String("prefix_rewrite", &route->prefix_rewrite,
                "replaces path_prefix; empty: the path is passed on unchanged");
}

}  // namespace

void BindProxy(config::Binder& binder, ProxyOptions& options) {
  binder.Enum<proxy::ForwardedFields>(
      "proxy.forwarded_headers", &options.forwarded,
      {{"append", proxy::ForwardedFields::kAppend}, {"replace", proxy::ForwardedFields::kReplace}},
      "what becomes of a client's X-Forwarded-For, -Host and "
      "-Proto");
  binder.Structs<ProxyUpstream>("proxy.upstreams", &options.upstreams,
                                "HTTP servers that requests are passed on to", BindUpstream);
  binder.Structs<ProxyRoute>("proxy.routes", &options.routes,
                             "which requests go where; the most specific route wins", BindRoute);
  binder.String("master_api.url", &options.master_api_url,
                "server of /api in place of the suite's own services; empty: these");
}

}  // namespace penstock::gateway
