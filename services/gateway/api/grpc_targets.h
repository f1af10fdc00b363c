// The gRPC servers that the proxy passes calls on to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/h2/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/grpc_relay.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/grpc_routes.h"

namespace penstock::gateway {

struct GrpcTarget {
  std::string name;
  // "the event-broker at 127.0.0.1:9020".
  std::string label;
  // What its server gets as `:authority` and `:scheme`.
  std::string authority;
  std::string scheme;
  // One of ours, which believes the peer token.
  bool is_suite = false;
  // Of its CA file, taken before that is read.
  std::string tls_digest;
  // Stops when its last owner goes: on no loop.
  std::shared_ptr<h2::Client> client;
  // How calls go on to it.
  std::optional<rpc::RelayTarget> relay;

  // What a caller gets when there is no connection. Only on a loop.
  absl::Status Away() const;
};

// Immutable, thread-safe. `loops` must outlive it.
class GrpcTargets {
 public:
  // Connects to nothing yet. Errors name the key at fault. What `before` (may be null), of the same
  // suite, has of connections to the same servers is shared.
  static absl::StatusOr<std::unique_ptr<GrpcTargets>> Create(http::EventLoops& loops,
                                                             const BackendAddresses& suite,
                                                             GrpcRoutes routes,
                                                             const GrpcTargets* before = nullptr);

  // The target of a method, "acme.v1.Users/Get": an upstream that asks for this authority, else the
  // Master API, else the suite's own service, else another upstream. Null when there is none, and
  // for what the filter denies.
  const GrpcTarget* Find(std::string_view method, std::string_view authority) const;
  const GrpcRoutes& routes() const { return routes_; }

  // Ends all calls, those of who shares the connections too. Not from a loop.
  void Stop();

 private:
  GrpcTargets(std::shared_ptr<http::Dns> dns, GrpcRoutes routes);
  absl::Status AddSuite(http::EventLoops& loops, Backend backend, const std::string& address);
  absl::Status AddUpstream(http::EventLoops& loops, const GrpcUpstream& upstream,
                           const GrpcTargets* before);
  // The target of a server that `upstream` means too; null when there is none.
  const GrpcTarget* FindSame(const GrpcUpstream& upstream) const;

  const GrpcRoutes routes_;
  // Outlives the clients, which are shared along with it.
  const std::shared_ptr<http::Dns> dns_;
  // The suite's by Backend, then the upstreams in their order.
  std::vector<GrpcTarget> targets_;
};

}  // namespace penstock::gateway
