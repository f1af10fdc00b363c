// Sends attempts to every executor replica there is.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/rpc/peer_auth.h"
#include "libs/rpc/replica_set.h"
#include "services/event-broker/invoker/doubtful_calls.h"
#include "services/event-broker/invoker/executor_stream.h"
#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

struct StreamInvokerOptions {
  // "host:port", with as many addresses as it resolves to, or "inproc:<name>".
  std::string address;
  std::shared_ptr<const rpc::PeerAuth> auth;
  // Names this broker to executors, at most 128 bytes: the same after a restart, unlike any other
  // broker's. Empty: executors then confirm nothing.
  std::string broker;
  // How long a call without a timeout may take: the longest that a function may have.
  std::chrono::milliseconds call_time_max{std::chrono::minutes(15)};
  // How long after its time a call on a lost executor counts as over.
  std::chrono::milliseconds doubt_grace{5'000};
  // How long after its time a call without a result says that its executor hangs: the stream is
  // ended then.
  std::chrono::milliseconds overdue_grace{30'000};
  // Ordered calls in doubt; while there are so many, further ordered orders are rejected.
  std::size_t doubtful_max = 65'536;
  // Carries the streams where it can; may be null; must outlive the invoker.
  rpc::WireClients* wire = nullptr;
  rpc::Resolver resolver = rpc::ResolveReplicas;
  std::chrono::milliseconds resolve_interval{5'000};
};

// See Invoker. Keeps one stream to each replica behind `address` and connects again with a growing
// delay. Time is the steady clock's.
class StreamInvoker final : public Invoker {
 public:
  using Options = StreamInvokerOptions;

  explicit StreamInvoker(Options options);
  ~StreamInvoker() override;

  void Start(Listener listener) override;
  void Send(std::vector<InvocationOrder> orders) override;
  void Cancel(const DeliveryKey& key, int attempt) override;
  void Stop() override;

  // Streams that an executor has given credit on.
  std::size_t connected() const;
  // Ordered calls whose stream was lost, and that may still run.
  std::size_t in_doubt() const;
  // Results that no attempt in flight had; they were dropped.
  std::uint64_t unknown_results() const { return unknown_results_.load(); }

 private:
  struct Target {
    rpc::Replica replica;
    std::shared_ptr<ExecutorStream> stream;  // Null between an end and the next try.
    std::uint64_t generation = 0;            // Of `stream`; 0 when there is none.
    bool has_credit = false;                 // `stream` got some.
    bool confirmed = false;                  // A stream got some since the start.
    std::string instance;                    // Of the executor, once it has given credit.
    int failures = 0;
    SteadyTime connect_at{};
  };
  struct Due {
    std::string address;
    rpc::Replica replica;
    std::uint64_t generation;
  };

  // The invoker's own thread.
  void Run();
  // Marks what is to be connected now, and lowers `next` to when the next is. Needs the lock.
  std::vector<Due> TakeDueTargets(SteadyTime now, SteadyTime* next);
  void ReleaseOver();
  void EndHangingStreams();

  void AddTarget(const rpc::Replica& replica);
  void RemoveTarget(const rpc::Replica& replica);
  void Connect(const Due& due);
  void OnCredit(const Due& due, const std::string& instance, bool first);
  void OnDoubtful(const Due& due, const std::string& instance, std::vector<SentCall> calls,
                  const std::string& reason);
  void OnEnd(const Due& due, const absl::Status& status);

  // Reports what has changed, each outside the lock.
  void ReportCapacity();
  void ReportSettled();
  bool IsSettled() const;
  void Report(std::vector<DeliveryResult> results);

  std::vector<std::shared_ptr<ExecutorStream>> Streams() const;
  std::vector<std::shared_ptr<ExecutorStream>> StreamsByFreeCredit() const;

  const Options options_;
  Listener listener_;
  std::unique_ptr<rpc::ReplicaSet> replicas_;
  std::atomic<std::uint64_t> unknown_results_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Target> targets_;
  DoubtfulCalls doubtful_;
  SteadyTime settle_at_{};
  SteadyTime check_hanging_at_{};
  bool settled_ = false;
  std::uint64_t next_generation_ = 1;
  std::size_t open_streams_ = 0;
  std::size_t capacity_ = 0;
  mutable std::atomic<std::size_t> turn_ = 0;  // Of executors with the same free credit.
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
