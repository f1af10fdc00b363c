// The servers of this process by name, for "inproc:" addresses.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::rpc {

// Thread-safe.
class InprocRegistry {
 public:
  using MakeChannel = std::function<std::shared_ptr<grpc::Channel>(const grpc::ChannelArguments&)>;
  using Connect = std::function<absl::StatusOr<int>()>;
  struct Made {
    std::shared_ptr<grpc::Channel> channel;
    std::uint64_t generation = 0;  // Differs for each registration.
  };

  // The one of this process.
  static InprocRegistry& Get();

  // ALREADY_EXISTS when the name is taken. `connect` gives a socket, see ConnectInproc.
  absl::Status Add(const std::string& name, MakeChannel make, Connect connect);
  // After it returns, `make` and `connect` are neither running nor called again.
  void Remove(const std::string& name);

  absl::StatusOr<Made> Make(std::string_view name, const grpc::ChannelArguments& arguments);
  absl::StatusOr<int> ConnectTo(std::string_view name);
  // 0 when no server of that name is registered.
  std::uint64_t Generation(std::string_view name) const;

 private:
  struct Entry {
    MakeChannel make;
    Connect connect;
    std::uint64_t generation;
  };

  mutable std::mutex mutex_;
  std::uint64_t next_generation_ = 1;
  std::map<std::string, Entry, std::less<>> entries_;
};

// A new connection to the server of that name in this process: one end of a pair of sockets, on
// which it speaks HTTP/2. For those that speak HTTP/2 themselves; no other process can reach it.
// The caller owns the descriptor. UNAVAILABLE when there is no such server. Does not block.
absl::StatusOr<int> ConnectInproc(std::string_view name);

}  // namespace penstock::rpc
