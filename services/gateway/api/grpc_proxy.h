// Passes gRPC calls on to their servers, frame by frame, without knowing the messages.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/h2/fields.h"
#include "libs/h2/stream.h"
#include "libs/http/event_loops.h"
#include "libs/http/per_loop.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/grpc_local.h"
#include "services/gateway/api/grpc_rules.h"

namespace penstock::gateway {

// Every kind of call is a stream of bytes here; at most a window of them waits each way. Metadata,
// deadline, cancellation, compression, trailers and status details pass through; what only services
// may say (the peer token, the principal) does not. Health and reflection are answered here, or by
// the service that a health check names. A call goes by the rules that there are when it begins,
// and keeps them. Thread-safe; all references must outlive the HTTP/2 server that calls it.
class GrpcProxy {
 public:
  GrpcProxy(http::EventLoops& loops, const http::PerLoop<GrpcRules>& rules,
            std::shared_ptr<const rpc::PeerAuth> peer_auth, metrics::Registry& registry);

  // Takes a request; on its loop.
  void Handle(h2::Stream& stream, h2::Fields head, bool end);

  // Health says so, and the streams that watch it end. Not from a loop.
  void Drain();

 private:
  void Refuse(h2::Stream& stream, const absl::Status& status);
  void PassOn(h2::Stream& stream, const GrpcTarget& target, const h2::Fields& head,
              std::string_view received, bool end);

  http::EventLoops& loops_;
  const http::PerLoop<GrpcRules>& rules_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  GrpcLocal local_;
  metrics::Counter& calls_;
  metrics::Counter& refused_;
};

}  // namespace penstock::gateway
