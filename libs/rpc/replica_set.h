// The replicas behind one name, each with a channel of its own, and the choice between them by free
// credit.
//
// gRPC's own balancing spreads calls, not streams: a service that keeps one stream per replica
// needs to know them.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/rpc/channel.h"

namespace penstock::rpc {

struct Replica {
  std::string address;  // As MakeChannel takes it: "10.0.0.7:9040" or "inproc:function-executor".
  std::shared_ptr<grpc::Channel> channel;
};

// Resolves a target to the addresses of its replicas. Blocks. NOT_FOUND says that there is none,
// and removes all; after another error the known ones are kept.
using Resolver = std::function<absl::StatusOr<std::vector<std::string>>(const std::string& target)>;

// "host:port" by the system's resolver, numeric and sorted; "inproc:<name>" is itself while that
// server runs.
absl::StatusOr<std::vector<std::string>> ResolveReplicas(const std::string& target);

// Keeps the set up to date on a thread of its own. Thread-safe.
class ReplicaSet {
 public:
  struct Options {
    std::string target;  // "host:port" or "inproc:<name>".
    ChannelOptions channel;
    std::chrono::milliseconds resolve_interval{5'000};
    // While nothing has been found yet.
    std::chrono::milliseconds retry_interval{100};
    Resolver resolver = ResolveReplicas;
    // Called on the set's thread, one at a time, when a replica appears and when it left. They may
    // call every method but Stop. After Stop returns neither is called.
    std::function<void(const Replica&)> on_added;
    std::function<void(const Replica&)> on_removed;
  };

  explicit ReplicaSet(Options options);
  // Stops as Stop() does.
  ~ReplicaSet();
  ReplicaSet(const ReplicaSet&) = delete;
  ReplicaSet& operator=(const ReplicaSet&) = delete;

  // Begins resolving. Once.
  void Start();
  // Ends resolving; waits for a resolution under way (the system's resolver cannot be interrupted).
  // Idempotent.
  void Stop();

  // Says how much more work a replica takes; unknown addresses are ignored, for a late answer of
  // one that left. New replicas have none.
  void SetCredit(const std::string& address, std::int64_t credit);

  // The replica with most free credit; replicas with equal credit take turns. Nothing when none has
  // any.
  std::optional<Replica> Pick();

  std::vector<Replica> replicas() const;
  // True when at least one replica is known.
  bool ready() const;
  // Why the last resolution failed; OK when it did not.
  absl::Status last_error() const;
  // Resolves again now, for example after a stream broke. Does not wait.
  void Refresh();

 private:
  struct Entry {
    Replica replica;
    std::uint64_t generation = 0;  // Of an in-process server.
    std::int64_t credit = 0;
    std::uint64_t picked = 0;  // Turn of the last pick.
  };

  void Run();
  void ResolveOnce();
  void Update(const std::vector<std::string>& addresses);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Entry> entries_;
  std::uint64_t turn_ = 0;
  absl::Status last_error_;
  bool refresh_ = false;
  bool stopping_ = false;
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace penstock::rpc
