// Sends attempts to every executor replica there is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/rpc/peer_auth.h"
#include "libs/rpc/replica_set.h"
#include "services/event-broker/invoker/executor_stream.h"
#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

// See Invoker. Keeps one stream to each replica behind `address` and connects again with a growing
// delay.
class StreamInvoker final : public Invoker {
 public:
  // `address` is "host:port", with as many addresses as it resolves to, or "inproc:<name>".
  StreamInvoker(std::string address, std::shared_ptr<const rpc::PeerAuth> auth);
  ~StreamInvoker() override;

  void Start(Listener listener) override;
  void Send(std::vector<InvocationOrder> orders) override;
  void Cancel(const DeliveryKey& key, int attempt) override;
  void Stop() override;

  // Streams that an executor has given credit on.
  std::size_t connected() const;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Target {
    rpc::Replica replica;
    std::shared_ptr<ExecutorStream> stream;  // Null between an end and the next try.
    std::uint64_t generation = 0;            // Of `stream`.
    int failures = 0;
    SteadyTime connect_at{};
  };

  void Run();
  void Connect(const std::string& address, const rpc::Replica& replica, std::uint64_t generation);
  void OnEnd(const std::string& address, std::uint64_t generation, const absl::Status& status);
  void ReportCapacity();
  std::vector<std::shared_ptr<ExecutorStream>> StreamsByFreeCredit() const;

  const std::string address_;
  const std::shared_ptr<const rpc::PeerAuth> auth_;
  Listener listener_;
  std::unique_ptr<rpc::ReplicaSet> replicas_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Target> targets_;
  std::uint64_t next_generation_ = 1;
  std::size_t open_streams_ = 0;
  std::size_t capacity_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
