// What the gateway makes of one configuration.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/api_reference.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/call_options.h"
#include "services/gateway/api/front_door.h"
#include "services/gateway/api/function_calls.h"
#include "services/gateway/api/grpc_rules.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_events.h"
#include "services/gateway/api/legacy_config_api.h"
#include "services/gateway/api/publish_api.h"
#include "services/gateway/api/reverse_proxy.h"
#include "services/gateway/api/transcoded_api.h"
#include "services/gateway/api/transcoding_proxy.h"
#include "services/gateway/api/user_services.h"
#include "services/gateway/api/web_rpc.h"
#include "services/gateway/app/config.h"
#include "services/gateway/domain/revision_memory.h"
#include "services/gateway/domain/route_book.h"
#include "services/gateway/domain/web_guard.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

// Everything that answers requests and that a reload may change. A request keeps the generation
// that it began with; upstreams, connections and descriptors that two generations have in common
// belong to both. Immutable but for Start and Retire; its last owner must not be a loop.
class Generation {
 public:
  // What stays while generations come and go; outlives them all.
  struct Base {
    const CallEnv& env;
    Backends& backends;
    const CallOptionsMaker& call_options;
    RevisionMemory& revisions;
    RouteBook& routes;
    EventPublisher& publisher;
    const ApiReference& reference;
    metrics::Registry& metrics;
    std::shared_ptr<const rpc::PeerAuth> peer_auth;
  };

  // Builds and checks everything; touches nothing of `before`, which is null at the start.
  // Upstreams that are down are no error. Errors name the key or the file at fault.
  static absl::StatusOr<std::unique_ptr<Generation>> Create(const Config& config, const Base& base,
                                                            const Generation* before);

  // Begins the work beside requests: health checks, the watch of descriptors. What it shares with
  // the generation before goes on.
  void Start();
  // Ends what `next` does not go on with, once it has taken this one's place.
  void Retire(const Generation& next);
  // Ends the work beside requests, and all gRPC calls.
  void Stop();

  // Keys of files that hold something else than those of `before`, which had the same names.
  std::vector<std::string> RenewedFiles(const Generation& before) const;

  const FrontDoor& front_door() const { return *front_door_; }
  const LegacyConfigApi& legacy() const { return *legacy_; }
  // Null without a gRPC listener.
  const GrpcRules* grpc() const { return grpc_.get(); }

 private:
  Generation(const Config& config, const Base& base);
  absl::Status CreateServices(const Base& base, const Generation* before);
  absl::Status CreateGrpc(const Base& base, const Generation* before);

  const Config config_;
  // Of the front door's TLS files.
  const std::string http_tls_digest_;
  const std::string grpc_tls_digest_;
  const WebGuard guard_;
  Authenticator authenticator_;
  const FunctionCalls functions_;
  const HttpEvents http_events_;
  PublishApi publish_;
  // Null when the gateway transcodes itself.
  std::shared_ptr<const TranscodingProxy> transcoding_proxy_;
  std::unique_ptr<TranscodedApi> api_;
  std::shared_ptr<UserServices> services_;
  std::unique_ptr<ReverseProxy> reverse_proxy_;
  std::unique_ptr<GrpcTargets> grpc_targets_;
  std::unique_ptr<const GrpcRules> grpc_;
  std::unique_ptr<const WebRpc> web_rpc_;
  std::unique_ptr<const FrontDoor> front_door_;
  std::unique_ptr<const LegacyConfigApi> legacy_;
};

}  // namespace penstock::gateway
