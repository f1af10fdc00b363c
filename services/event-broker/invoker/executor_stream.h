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
#include "services/event-broker/invoker/sent_call.h"
#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

// Lives from the start of the call to its end; a new one is made to connect again. Thread-safe.
class ExecutorStream : public std::enable_shared_from_this<ExecutorStream> {
 public:
  struct Listener {
    std::function<void(std::vector<DeliveryResult>)> on_results;
    // Results of attempts that this stream does not have: so many were dropped.
    std::function<void(std::size_t)> on_unknown;
    // credit() changed. `instance` is what the executor calls itself; `first`: nothing of this
    // broker's earlier streams runs on it any more.
    std::function<void(const std::string& instance, bool first)> on_credit;
    // The stream was lost with ordered calls on it: their results are left to the listener. Before
    // on_end.
    std::function<void(const std::string& instance, std::vector<SentCall>,
                       const std::string& reason)>
        on_doubtful;
    // The end, once, after the results of everything else that was given to this stream.
    std::function<void(const absl::Status&)> on_end;
  };
  struct Options {
    std::shared_ptr<const rpc::PeerAuth> auth;
    std::string broker;
    // How long a call without a timeout may take.
    std::chrono::milliseconds call_time_max{};
  };

  static std::shared_ptr<ExecutorStream> Start(const rpc::Replica& replica, Options options,
                                               Listener listener);

  // Takes as many of `orders`, from its end, as there is credit for.
  void TakeFrom(std::vector<InvocationOrder>& orders);
  // False when this stream does not have that attempt. A batch goes by its first event: one event
  // of it cannot be given up alone.
  bool Cancel(const DeliveryKey& key, int attempt);
  // Ends the call.
  void End();

  // What may be in flight here; 0 before the executor said so, and once it drains.
  std::size_t credit() const;
  std::size_t in_flight() const;
  // What the executor calls itself; empty before it said so.
  std::string instance() const;
  // Whether a call should have ended before `time`.
  bool HasCallsBefore(SteadyTime time) const;

 private:
  using AttemptId = std::pair<DeliveryKey, int>;
  class Call;

  ExecutorStream(Options options, Listener listener)
      : options_(std::move(options)), listener_(std::move(listener)) {}
  void OnEnd(const absl::Status& status);

  const Options options_;
  const Listener listener_;
  mutable std::mutex mutex_;
  std::shared_ptr<Call> call_;
  std::string instance_;
  std::size_t credit_ = 0;
  bool introduced_ = false;  // The first message is on its way.
  bool draining_ = false;
  bool ended_ = false;
  std::deque<InvocationOrder> waiting_;
  std::deque<std::pair<AttemptId, std::int64_t>> cancels_;  // With the epoch.
  std::map<AttemptId, SentCall> sent_;
};

}  // namespace penstock::broker
