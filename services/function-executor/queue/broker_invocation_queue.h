// The queue of invocations in the event-broker.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "libs/rpc/cancellation.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
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
  void Stop();

 private:
  // Shared with calls, whose ends may be the last to touch it.
  struct Calls {
    std::mutex mutex;
    std::condition_variable ended;
    int running = 0;
    bool stopped = false;
  };

  template <typename Response, typename Request>
  void Call(const char* method, const Request& request,
            std::function<void(absl::StatusOr<Response>)> done);

  rpc::LazyChannel channel_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  const std::shared_ptr<rpc::Cancellation> cancellation_ = std::make_shared<rpc::Cancellation>();
  const std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
};

}  // namespace penstock::executor
