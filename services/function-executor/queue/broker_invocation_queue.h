// The queue of invocations in the event-broker.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/rpc/peer_auth.h"
#include "libs/rpc/unary_calls.h"
#include "services/function-executor/ports/invocation_queue.h"

namespace penstock::executor {

// Connects at first use: an executor runs without a broker, but for these calls. Errors name the
// broker's address.
class BrokerInvocationQueue final : public InvocationQueue {
 public:
  BrokerInvocationQueue(std::string address, std::shared_ptr<const rpc::PeerAuth> peer_auth);

  void Enqueue(Order order, std::function<void(absl::StatusOr<Queued>)> done) override;
  void Find(const std::string& space, const std::string& delivery_id,
            std::function<void(absl::StatusOr<Whereabouts>)> done) override;
  void Cancel(const std::string& space, const std::string& delivery_id,
              std::function<void(absl::StatusOr<Cancelled>)> done) override;

  // Refuses new calls, and cancels and waits for those under way. Idempotent, blocks.
  void Stop() { calls_.Stop(); }

 private:
  rpc::UnaryCalls calls_;
};

}  // namespace penstock::executor
