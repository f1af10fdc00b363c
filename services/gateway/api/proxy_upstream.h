// One upstream of the reverse proxy at work: its servers, their health, its connections.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/http/client.h"
#include "libs/http/event_loops.h"
#include "libs/metrics/metrics.h"
#include "libs/proxy/balancer.h"
#include "services/gateway/api/proxy_options.h"

namespace penstock::gateway {

// What is counted of one upstream. Thread-safe.
struct UpstreamMetrics {
  UpstreamMetrics(metrics::Registry& registry, const std::string& name);

  // By class of the answer's status: [2] counts 2xx; what the gateway itself answered too.
  std::array<metrics::Counter*, 6> requests{};
  metrics::Histogram& duration;
  metrics::Counter& retries;
  metrics::Counter& ejections;
  metrics::Gauge& unhealthy;

  // Tries that came to no answer, by the reason of their status.
  void CountFailure(std::string_view reason);

 private:
  const std::string name_;
  metrics::Family<metrics::Counter>& failures_;
};

// One server, in the form that requests need.
struct UpstreamServer {
  http::ClientTarget target;
  // Host and port as the URL has them.
  std::string authority;
  // The Host field for it; empty: the client's.
  std::string host;
};

// Shared by all loops; each uses its own balancer and its own connections.
class UpstreamPool {
 public:
  // Fails when a TLS file cannot be used. `loops` and `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<UpstreamPool>> Create(const ProxyUpstream& options,
                                                              http::EventLoops& loops,
                                                              const Clock& clock,
                                                              metrics::Registry& registry);
  // Stops.
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // Begins the active checks, if there are any; at a second call it does nothing.
  void Start();
  // Ends the checks: requests that are on their way go on, new ones are not expected.
  void Retire();
  // Retires, closes all connections. The loops must still run. Idempotent.
  void Stop();

  // Whether a pool made of `options` now would be the same: the contents of the TLS files count.
  bool IsFor(const ProxyUpstream& options) const;

  const ProxyUpstream& options() const { return options_; }
  const UpstreamServer& server(std::size_t index) const { return servers_[index]; }
  // Only on that loop.
  proxy::Balancer& balancer(int loop) { return *balancers_[static_cast<std::size_t>(loop)]; }
  http::Client& client() { return *client_; }
  UpstreamMetrics& counters() { return metrics_; }
  const Clock& clock() const { return clock_; }

 private:
  class Checks;

  UpstreamPool(const ProxyUpstream& options, http::EventLoops& loops, const Clock& clock,
               metrics::Registry& registry);

  const ProxyUpstream options_;
  // Taken before the files are read.
  const std::string tls_digest_;
  http::EventLoops& loops_;
  const Clock& clock_;
  UpstreamMetrics metrics_;
  std::vector<UpstreamServer> servers_;
  std::vector<std::unique_ptr<proxy::Balancer>> balancers_;
  std::unique_ptr<http::Client> client_;
  // Of its own for the checks: that all connections are in use says nothing of a server.
  std::unique_ptr<http::Client> check_client_;
  std::shared_ptr<Checks> checks_;
};

}  // namespace penstock::gateway
