#include "tests/bench/grpc_proxy/roles.h"

#include <memory>
#include <utility>

#include "libs/h2/server.h"
#include "libs/http/event_loops.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/grpc_proxy.h"
#include "services/gateway/api/grpc_targets.h"
#include "tests/bench/grpc_proxy/echo_server.h"

namespace penstock::gateway {

int RunFrameProxy(const std::string& address) {
  http::EventLoops loops({.threads = 2});
  metrics::Registry registry;
  const Authenticator authenticator;
  GrpcUpstream upstream;
  upstream.name = "echo";
  upstream.addresses = {address};
  upstream.methods = {"*"};
  GrpcRoutes routes;
  routes.upstreams = {upstream};
  const std::string nowhere = "127.0.0.1:9";
  const auto targets = GrpcTargets::Create(loops, {nowhere, nowhere, nowhere}, routes);
  const http::PerLoop<GrpcRules> rules(
      loops, std::make_shared<const GrpcRules>(GrpcRules::Of(**targets, authenticator)));
  GrpcProxy proxy(loops, rules, rpc::PeerAuth::Random(), registry);
  const auto server =
      h2::Server::Start(loops, {}, [&proxy](h2::Stream& stream, h2::Fields head, bool end) {
        proxy.Handle(stream, std::move(head), end);
      });
  Serve((*server)->port());
  (*server)->Stop();
  (*targets)->Stop();
  loops.Stop();
  return 0;
}

}  // namespace penstock::gateway
