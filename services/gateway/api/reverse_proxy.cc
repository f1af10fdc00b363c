#include "services/gateway/api/reverse_proxy.h"

#include <algorithm>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "services/gateway/domain/reserved_paths.h"

namespace penstock::gateway {
namespace {

constexpr char kMasterApiPrefix[] = "/api";

// The options with the Master API as one more upstream and route.
ProxyOptions WithMasterApi(ProxyOptions options) {
  if (options.master_api_url.empty()) return options;
  ProxyUpstream upstream;
  upstream.name = kMasterApi;
  upstream.servers.push_back({.url = options.master_api_url});
  // As the founding document has it, whatever the scheme.
  upstream.host = "upstream";
  options.upstreams.push_back(std::move(upstream));
  ProxyRoute route;
  route.path_prefix = kMasterApiPrefix;
  route.upstream = kMasterApi;
  options.routes.push_back(std::move(route));
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReverseProxy>> ReverseProxy::Create(const ProxyOptions& given,
                                                                   const Deps& deps,
                                                                   const ReverseProxy* before) {
  auto proxy = std::unique_ptr<ReverseProxy>(new ReverseProxy(deps));
  const ProxyOptions options = WithMasterApi(given);
  for (const ProxyUpstream& upstream : options.upstreams) {
    if (before != nullptr) {
      const auto same = std::find_if(before->upstreams_.begin(), before->upstreams_.end(),
                                     [&](const auto& pool) { return pool->IsFor(upstream); });
      if (same != before->upstreams_.end()) {
        proxy->upstreams_.push_back(*same);
        continue;
      }
    }
    auto pool = UpstreamPool::Create(upstream, deps.loops, deps.clock, deps.metrics);
    if (!pool.ok()) return UnderField("proxy.upstreams." + upstream.name, pool.status());
    proxy->upstreams_.push_back(*std::move(pool));
  }
  for (const ProxyRoute& route : options.routes) {
    Route compiled;
    for (const auto& pool : proxy->upstreams_) {
      if (pool->options().name == route.upstream) compiled.order.upstream = pool.get();
    }
    compiled.order.forwarded = options.forwarded;
    compiled.order.path_prefix = route.path_prefix;
    compiled.order.prefix_rewrite = route.prefix_rewrite;
    compiled.is_guarded = route.upstream == kMasterApi;
    compiled.takes_reserved_paths = compiled.is_guarded || !route.host.empty();
    proxy->routes_.push_back(std::move(compiled));
  }
  ASSIGN_OR_RETURN(proxy->table_, proxy::Routes::Create(RulesOf(options.routes)));
  return proxy;
}

void ReverseProxy::Start() {
  for (const auto& upstream : upstreams_) upstream->Start();
}

void ReverseProxy::Retire(const ReverseProxy& next) {
  for (const auto& upstream : upstreams_) {
    const bool stays = std::find(next.upstreams_.begin(), next.upstreams_.end(), upstream) !=
                       next.upstreams_.end();
    if (!stays) upstream->Retire();
  }
}

const ReverseProxy::Route* ReverseProxy::Find(const http::Request& head) const {
  if (routes_.empty()) return nullptr;
  const std::string_view path = head.path();
  const auto index = table_.Find({.method = head.method,
                                  .host = head.headers.Get("host"),
                                  .path = path,
                                  .headers = head.headers});
  if (!index.has_value()) return nullptr;
  const Route& route = routes_[*index];
  return route.takes_reserved_paths || !IsReservedPath(path) ? &route : nullptr;
}

void ReverseProxy::Handle(const std::shared_ptr<HttpCall>& call,
                          std::shared_ptr<http::StreamExchange> exchange,
                          const Route& route) const {
  const http::Request& request = call->request;
  if (proxy::HasDotSegment(request.path())) {
    return call->Fail(FieldError("path", "segments that are . or .. are not passed on"));
  }
  if (route.is_guarded) {
    const absl::Status allowed =
        deps_.guard.Check({.host = request.headers.Get("Host"),
                           .origin = request.headers.Get("Origin"),
                           .sec_fetch_site = request.headers.Get("Sec-Fetch-Site")});
    if (!allowed.ok()) return call->Fail(allowed);
  }
  std::make_shared<ProxiedCall>(call, std::move(exchange), route.order)->Start();
}

}  // namespace penstock::gateway
