// What the gateway tells the services about a call.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/domain/revision_memory.h"

namespace penstock::gateway {

// Makes the options of calls on behalf of HTTP requests. Thread-safe. `revisions` must outlive it.
class CallOptionsMaker {
 public:
  CallOptionsMaker(const RevisionMemory& revisions, std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : revisions_(revisions), peer_auth_(std::move(peer_auth)) {}

  // Cancelled with the request; carries its trace context, its principal, and the revisions that
  // clients of the space have seen. To be called on the request's loop. The error names the header.
  absl::StatusOr<rpc::CallOptions> For(HttpCall& call, std::string_view space) const;

 private:
  const RevisionMemory& revisions_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
};

// "default" out of "spaces/default/functions/f", with or without more in front of it; empty when
// there is no space in it.
std::string_view SpaceInName(std::string_view name);

}  // namespace penstock::gateway
