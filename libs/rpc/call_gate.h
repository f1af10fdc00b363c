// Keeps calls from starting on the in-process channel of a stopped server.
//
// gRPC 1.51 calls a null function when a call is created on such a channel, and the process dies.
// So a channel that MakeChannel gives for "inproc:" carries a gate which its server shuts before it
// stops, and whoever creates a call (the clients of this folder do) holds a CallStart meanwhile.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <shared_mutex>

namespace penstock::rpc {

class DirectMethods;

// Thread-safe.
class CallGate {
 public:
  // `direct` may be null.
  explicit CallGate(const DirectMethods* direct = nullptr) : direct_(direct) {}

  // Waits until no call is being created; none will be afterwards.
  void Shut();

 private:
  friend class CallStart;

  const DirectMethods* const direct_;
  std::shared_mutex mutex_;
  bool shut_ = false;
};

// The same channel, with a gate that CallStart finds.
std::shared_ptr<grpc::Channel> WithGate(std::shared_ptr<grpc::Channel> channel,
                                        std::shared_ptr<CallGate> gate);

// To be held while a call on `channel` is created, and no longer: it keeps the server from
// stopping.
class CallStart {
 public:
  explicit CallStart(const std::shared_ptr<grpc::Channel>& channel);

  // What to create the call on: the channel, or one whose calls fail with UNAVAILABLE.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // What the server takes without gRPC; null when the channel leaves the process.
  const DirectMethods* direct() const { return direct_; }

 private:
  std::shared_ptr<CallGate> gate_;
  std::shared_lock<std::shared_mutex> lock_;
  std::shared_ptr<grpc::Channel> channel_;
  const DirectMethods* direct_ = nullptr;
};

}  // namespace penstock::rpc
