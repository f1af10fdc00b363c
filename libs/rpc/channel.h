// Client channels, by address.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::rpc {

class WireClients;

// PEM files. On a server `ca` is set to demand client certificates; on a client, to replace the
// system's roots.
struct TlsFiles {
  std::string ca;
  std::string certificate;
  std::string key;
};

// Messages of every server and channel; HTTP body limits stay below it.
inline constexpr int kMessageBytesMax = 8 * 1024 * 1024;

struct ChannelOptions {
  int message_bytes_max = kMessageBytesMax;
  std::optional<TlsFiles> tls;
  std::chrono::milliseconds keepalive{30'000};
  // Bidirectional streams to "host:port" without TLS go by these clients, where gRPC's library is
  // not needed for what the call asks (a deadline, a wait for the connection). May be null; must
  // outlive the channel.
  WireClients* wire = nullptr;
  // A connection of its own, even when another channel goes to the same address.
  bool own_connection = false;
};

// A channel to "host:port", "dns:host:port" (or another gRPC target), or "inproc:<name>": the
// ServerHost of that name in this process, to be called with this folder's clients only
// (call_gate.h). Does not connect yet and never blocks on the network. INVALID_ARGUMENT for an
// address that cannot work; UNAVAILABLE when no server of that name runs in this process (yet).
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(std::string_view address,
                                                           const ChannelOptions& options = {});

// Checks the form of an address. The error names `field`.
absl::Status CheckAddress(std::string_view field, std::string_view address);

// A channel that is made at first use, so that services in one process may be built in any order.
// Thread-safe.
class LazyChannel {
 public:
  explicit LazyChannel(std::string address, ChannelOptions options = {});

  // The channel; for an in-process address, made anew when the server of that name was replaced.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Get();

  const std::string& address() const { return address_; }

 private:
  const std::string address_;
  const ChannelOptions options_;
  std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;
  std::uint64_t generation_ = 0;
};

}  // namespace penstock::rpc
