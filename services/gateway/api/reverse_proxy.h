// Passes requests on to HTTP upstreams, by routes.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "libs/metrics/metrics.h"
#include "libs/proxy/routes.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/proxied_call.h"
#include "services/gateway/api/proxy_options.h"
#include "services/gateway/api/proxy_upstream.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// Thread-safe once created; outlives every request.
class ReverseProxy {
 public:
  // Where requests go that a route takes.
  struct Route {
    ProxyOrder order;
    // False: paths of the gateway itself are not taken.
    bool takes_reserved_paths = false;
    // Pages of other origins are refused, as they are on the gateway's own /api.
    bool is_guarded = false;
  };

  struct Deps {
    http::EventLoops& loops;
    const Clock& clock;
    metrics::Registry& metrics;
    const WebGuard& guard;
  };

  // Fails with a status that names the TLS file at fault; `options` passed Check. What `before`
  // (may be null) has of upstreams that are the same is shared: connections, health, ejections.
  static absl::StatusOr<std::unique_ptr<ReverseProxy>> Create(const ProxyOptions& options,
                                                              const Deps& deps,
                                                              const ReverseProxy* before = nullptr);

  // Begins the active health checks of upstreams that are new.
  void Start();
  // Ends those of upstreams that `next` does not have. Requests on their way go on.
  void Retire(const ReverseProxy& next);

  // The route that takes a request, or null.
  const Route* Find(const http::Request& head) const;

  // Passes the request on to the upstream of its route.
  void Handle(const std::shared_ptr<HttpCall>& call, std::shared_ptr<http::StreamExchange> exchange,
              const Route& route) const;

 private:
  explicit ReverseProxy(const Deps& deps) : deps_(deps) {}

  const Deps deps_;
  // A pool closes its connections when the last of its owners goes: on no loop.
  std::vector<std::shared_ptr<UpstreamPool>> upstreams_;
  proxy::Routes table_;
  // In the order of the table's rules.
  std::vector<Route> routes_;
};

}  // namespace penstock::gateway
