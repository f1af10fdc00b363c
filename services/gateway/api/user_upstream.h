// A gRPC service of a user behind the gateway.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/rpc/channel.h"

namespace penstock::gateway {

// What the configuration says about a service whose REST forms the gateway serves.
struct UserServiceOptions {
  // For logs and errors.
  std::string name;
  // "host:port"; calls take turns.
  std::vector<std::string> addresses;
  // A file with a FileDescriptorSet, or "reflection": the service's own.
  std::string descriptors;
  // Of a call that is not a stream.
  std::chrono::milliseconds timeout{30'000};
  bool tls = false;
  // PEM file with the authorities to trust in place of the system's.
  std::string tls_ca;

  bool operator==(const UserServiceOptions&) const = default;
};

inline constexpr char kReflection[] = "reflection";

// The channels to one service. Thread-safe.
class UserUpstream {
 public:
  explicit UserUpstream(UserServiceOptions options);

  const UserServiceOptions& options() const { return options_; }
  // Whether one made of `options` now would be the same: the content of tls_ca counts.
  bool IsFor(const UserServiceOptions& options) const;

  // The next address's channel that is not known to be broken; the next one where all are.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Pick();

  // Adds to an UNAVAILABLE that says no more which service it is about.
  absl::Status Named(const absl::Status& status) const;

 private:
  const UserServiceOptions options_;
  // Taken before the file is read.
  const std::string tls_digest_;
  std::vector<std::unique_ptr<rpc::LazyChannel>> channels_;
  std::atomic<std::size_t> turn_{0};
};

}  // namespace penstock::gateway
