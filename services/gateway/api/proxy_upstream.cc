#include "services/gateway/api/proxy_upstream.h"

#include <fmt/format.h>

#include <utility>

#include "libs/http/url.h"
#include "libs/log/log.h"
#include "services/gateway/api/file_digest.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kUpstreamsMax = 101;
constexpr std::size_t kReasonsMax = 16;
// A check wants the status, not the page; a longer one fails it.
constexpr std::size_t kCheckBytesMax = 1024 * 1024;

std::string TlsDigest(const ProxyUpstream& options) {
  return DigestOfFiles({options.tls_ca_file, options.tls_cert_file, options.tls_key_file});
}

std::string HostFor(const std::string& wanted, const http::Url& url) {
  if (wanted == "upstream" || (wanted.empty() && url.is_tls)) return url.Authority();
  return wanted == "keep" ? std::string() : wanted;
}

}  // namespace

UpstreamMetrics::UpstreamMetrics(metrics::Registry& registry, const std::string& name)
    : duration(registry
                   .HistogramFamily("penstock_gateway_proxy_request_duration_seconds",
                                    "From the head of a proxied request to its end.", {"upstream"},
                                    metrics::LatencyBounds(), kUpstreamsMax)
                   .With({name})),
      retries(registry
                  .CounterFamily("penstock_gateway_proxy_retries_total",
                                 "Tries after the first of proxied requests.", {"upstream"},
                                 kUpstreamsMax)
                  .With({name})),
      ejections(registry
                    .CounterFamily("penstock_gateway_proxy_ejections_total",
                                   "Servers that an event loop stopped using for a time.",
                                   {"upstream"}, kUpstreamsMax)
                    .With({name})),
      unhealthy(registry
                    .GaugeFamily("penstock_gateway_proxy_unhealthy_servers",
                                 "Servers that fail their active checks.", {"upstream"},
                                 kUpstreamsMax)
                    .With({name})),
      name_(name),
      failures_(registry.CounterFamily("penstock_gateway_proxy_failures_total",
                                       "Tries of proxied requests without an answer, by reason.",
                                       {"upstream", "reason"}, kUpstreamsMax * kReasonsMax)) {
  auto& by_status =
      registry.CounterFamily("penstock_gateway_proxy_requests_total",
                             "Proxied requests answered, by upstream and status class.",
                             {"upstream", "status"}, kUpstreamsMax * requests.size());
  for (std::size_t i = 1; i < requests.size(); ++i) {
    requests[i] = &by_status.With({name, fmt::format("{}xx", i)});
  }
}

void UpstreamMetrics::CountFailure(std::string_view reason) {
  failures_.With({name_, reason}).Increment();
}

// Asks each server in turns of an interval, on loop 0.
class UpstreamPool::Checks : public std::enable_shared_from_this<Checks> {
 public:
  explicit Checks(UpstreamPool& pool) : pool_(pool) {
    for (std::size_t i = 0; i < pool.servers_.size(); ++i) {
      judges_.emplace_back(pool.options_.health_thresholds);
    }
  }

  void Start() {
    pool_.loops_.Post(0, [self = shared_from_this()] {
      for (std::size_t i = 0; i < self->judges_.size(); ++i) self->Check(i);
    });
  }

  void Stop() {
    pool_.loops_.RunAndWait(0, [this] {
      if (std::exchange(stopped_, true)) return;
      // The gauge is of the name: the pool that takes its place counts from none.
      for (const proxy::HealthJudge& judge : judges_) {
        if (!judge.is_healthy()) pool_.metrics_.unhealthy.Add(-1);
      }
    });
  }

 private:
  void Check(std::size_t index) {
    if (stopped_) return;
    const UpstreamServer& server = pool_.servers_[index];
    http::ClientRequest request;
    request.url = fmt::format("{}://{}{}", server.target.url.is_tls ? "https" : "http",
                              server.authority, pool_.options_.health_path);
    if (!server.host.empty()) request.headers.Set("Host", server.host);
    request.headers.Set("User-Agent", "penstock-gateway");
    request.timeout = request.connect_timeout = pool_.options_.health_timeout;
    request.response_bytes_max = kCheckBytesMax;
    pool_.check_client_->Send(
        std::move(request),
        [self = shared_from_this(), index](absl::StatusOr<http::ClientResponse> response) {
          self->OnChecked(index,
                          response.ok() && response->status >= 200 && response->status < 400);
        });
  }

  void OnChecked(std::size_t index, bool passed) {
    if (stopped_) return;
    if (judges_[index].OnCheck(passed)) Tell(index);
    pool_.loops_.RunAfter(0, pool_.options_.health_interval,
                          [self = shared_from_this(), index] { self->Check(index); });
  }

  void Tell(std::size_t index) {
    const bool is_healthy = judges_[index].is_healthy();
    pool_.metrics_.unhealthy.Add(is_healthy ? -1 : 1);
    log::Warn("health of an upstream's server changed",
              {{"upstream", pool_.options_.name},
               {"server", pool_.servers_[index].authority},
               {"healthy", is_healthy}});
    for (int loop = 0; loop < pool_.loops_.size(); ++loop) {
      pool_.loops_.Post(loop, [self = shared_from_this(), loop, index, is_healthy] {
        self->pool_.balancer(loop).SetHealthy(index, is_healthy);
      });
    }
  }

  UpstreamPool& pool_;
  std::vector<proxy::HealthJudge> judges_;
  bool stopped_ = false;
};

UpstreamPool::UpstreamPool(const ProxyUpstream& options, http::EventLoops& loops,
                           const Clock& clock, metrics::Registry& registry)
    : options_(options),
      tls_digest_(TlsDigest(options)),
      loops_(loops),
      clock_(clock),
      metrics_(registry, options.name) {}

absl::StatusOr<std::unique_ptr<UpstreamPool>> UpstreamPool::Create(const ProxyUpstream& options,
                                                                   http::EventLoops& loops,
                                                                   const Clock& clock,
                                                                   metrics::Registry& registry) {
  auto pool = std::unique_ptr<UpstreamPool>(new UpstreamPool(options, loops, clock, registry));
  proxy::BalancerOptions balancer{.policy = options.policy,
                                  .weights = {},
                                  .consecutive_failures = options.consecutive_failures,
                                  .ejection_time = options.ejection_time,
                                  .ejected_percent_max = options.ejected_percent_max};
  for (const ProxyServer& server : options.servers) {
    ASSIGN_OR_RETURN(http::Url url, http::ParseUrl(server.url));
    balancer.weights.push_back(server.weight);
    std::string host = HostFor(options.host, url);
    std::string authority = url.Authority();
    pool->servers_.push_back(
        {http::ClientTarget(std::move(url)), std::move(authority), std::move(host)});
  }
  for (int i = 0; i < loops.size(); ++i) {
    pool->balancers_.push_back(std::make_unique<proxy::Balancer>(balancer));
  }
  http::ClientOptions client;
  client.connections_per_host_max = options.connections_max;
  client.idle_timeout = options.keepalive_timeout;
  client.dns_threads = 1;
  client.tls = {.ca_file = options.tls_ca_file,
                .cert_file = options.tls_cert_file,
                .key_file = options.tls_key_file,
                .verify_peer = options.tls_verify};
  if (!options.health_path.empty()) {
    http::ClientOptions checks = client;
    checks.connections_per_host_max = loops.size();  // One on each.
    ASSIGN_OR_RETURN(pool->check_client_, http::Client::Create(loops, std::move(checks)));
  }
  ASSIGN_OR_RETURN(pool->client_, http::Client::Create(loops, std::move(client)));
  return pool;
}

UpstreamPool::~UpstreamPool() { Stop(); }

bool UpstreamPool::IsFor(const ProxyUpstream& options) const {
  return options == options_ && TlsDigest(options) == tls_digest_;
}

void UpstreamPool::Start() {
  if (options_.health_path.empty() || checks_ != nullptr) return;
  checks_ = std::make_shared<Checks>(*this);
  checks_->Start();
}

void UpstreamPool::Retire() {
  if (checks_ != nullptr) checks_->Stop();
}

void UpstreamPool::Stop() {
  Retire();
  if (check_client_ != nullptr) check_client_->Stop();
  if (client_ != nullptr) client_->Stop();
}

}  // namespace penstock::gateway
