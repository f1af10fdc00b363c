// Passes gRPC calls on to the services without knowing their messages.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>

#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/backends.h"

namespace penstock::gateway {

// Every kind of call is a stream of bytes here, with at most one message in flight each way.
// Metadata, deadline, cancellation, trailers and status details pass through; what only services
// may say (the peer token, the principal) does not. Methods of no public service are UNIMPLEMENTED.
// Thread-safe; all references must outlive the server that it is registered with.
class GrpcProxy final : public grpc::CallbackGenericService {
 public:
  GrpcProxy(Backends& backends, const Authenticator& authenticator,
            std::shared_ptr<const rpc::PeerAuth> peer_auth, metrics::Registry& registry);

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  Backends& backends_;
  const Authenticator& authenticator_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  metrics::Counter& calls_;
  metrics::Counter& refused_;
};

}  // namespace penstock::gateway
