// One InvokeStream to one executor.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libs/rpc/peer_auth.h"
#include "libs/rpc/replica_set.h"
#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

// Lives from the start of the call to its end; a new one is made to connect again. Thread-safe.
class ExecutorStream : public std::enable_shared_from_this<ExecutorStream> {
 public:
  struct Listener {
    std::function<void(std::vector<DeliveryResult>)> on_results;
    std::function<void()> on_credit;  // credit() changed.
    // The end, once, after the results of everything that was given to this stream.
    std::function<void(const absl::Status&)> on_end;
  };

  static std::shared_ptr<ExecutorStream> Start(const rpc::Replica& replica,
                                               std::shared_ptr<const rpc::PeerAuth> auth,
                                               Listener listener);

  // Takes as many of `orders`, from its end, as there is credit for.
  void TakeFrom(std::vector<InvocationOrder>& orders);
  // False when this stream does not have that attempt.
  bool Cancel(const DeliveryKey& key, int attempt);
  // Ends the call.
  void End();

  // What may be in flight here; 0 before the executor said so, and once it drains.
  std::size_t credit() const;
  std::size_t in_flight() const;
  // True once the executor gave credit, also after the end.
  bool worked() const;

 private:
  using AttemptId = std::pair<DeliveryKey, int>;
  class Call;

  explicit ExecutorStream(Listener listener) : listener_(std::move(listener)) {}
  void OnEnd(const absl::Status& status);

  const Listener listener_;
  mutable std::mutex mutex_;
  std::shared_ptr<Call> call_;
  std::size_t credit_ = 0;
  bool draining_ = false;
  bool ended_ = false;
  std::deque<InvocationOrder> waiting_;
  std::deque<AttemptId> cancels_;
  std::map<AttemptId, std::chrono::steady_clock::time_point> sent_;
};

}  // namespace penstock::broker
