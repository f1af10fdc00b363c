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
  struct Made {
    std::shared_ptr<grpc::Channel> channel;
    std::uint64_t generation = 0;  // Differs for each registration.
  };

  // The one of this process.
  static InprocRegistry& Get();

  // ALREADY_EXISTS when the name is taken.
  absl::Status Add(const std::string& name, MakeChannel make);
  // After it returns, `make` is neither running nor called again.
  void Remove(const std::string& name);

  absl::StatusOr<Made> Make(std::string_view name, const grpc::ChannelArguments& arguments);
  // 0 when no server of that name is registered.
  std::uint64_t Generation(std::string_view name) const;

 private:
  struct Entry {
    MakeChannel make;
    std::uint64_t generation;
  };

  mutable std::mutex mutex_;
  std::uint64_t next_generation_ = 1;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace penstock::rpc
