// Tells the function-manager which versions start.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/unary_calls.h"
#include "services/function-executor/domain/deployments.h"

namespace penstock::executor {

// Thread-safe.
class DeploymentClient {
 public:
  DeploymentClient(std::string address, std::shared_ptr<const rpc::PeerAuth> peer_auth);

  // Calls `done` once, with whether any executor has started the version, on a thread of gRPC's or
  // before it returns.
  void Report(const DeploymentReport& report, std::function<void(absl::StatusOr<bool>)> done);

  // Refuses new calls, and cancels and waits for those under way. Idempotent, blocks.
  void Stop() { calls_.Stop(); }

 private:
  rpc::UnaryCalls calls_;
};

}  // namespace penstock::executor
