// A gRPC server with everything that every service needs: health, reflection, limits, orderly stop.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/server_front.h"

namespace penstock::rpc {

struct ServerOptions {
  // Reachable in this process as "inproc:<name>"; empty means not.
  std::string name;
  // "host:port"; port 0 takes a free one; empty means no network listener.
  std::string address;
  std::optional<TlsFiles> tls;
  int message_bytes_max = kMessageBytesMax;
  std::chrono::milliseconds keepalive{30'000};
  // Closes connections at about this age, so that clients spread over new replicas. Services that
  // serve unary clients set 5 minutes; gRPC adds 10 % jitter. Not set: never.
  std::optional<std::chrono::milliseconds> connection_age_max;
  bool reflection = true;
  // Callback services; they must outlive the host.
  std::vector<grpc::Service*> services;
  // Streams that are served without gRPC's library, in this process and where there are `loops`;
  // may be null; must outlive the host.
  const DirectMethods* direct = nullptr;
  // Where `address`, which is numeric then, is served by HTTP/2 of our own, in front of gRPC's
  // library: the streams of `direct` then run on these loops. Null, or with `tls`: gRPC's library
  // listens itself. Must outlive the host.
  http::EventLoops* loops = nullptr;
  // Takes the methods that `services` do not have; may be null; must outlive the host.
  grpc::CallbackGenericService* generic = nullptr;
};

// A running server. Thread-safe.
class ServerHost {
 public:
  // Starts listening; health says NOT_SERVING until SetServing. The error names the address.
  static absl::StatusOr<std::unique_ptr<ServerHost>> Start(ServerOptions options);

  // Stops with a deadline of 1 s if that was not done.
  ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // Health of the server as a whole ("") and of each of its services.
  void SetServing(bool serving);
  // Health of one service, by its full name.
  void SetServing(const std::string& service, bool serving);

  // The bound port; 0 without a network listener.
  int port() const { return port_; }
  // "host:port" with the bound port; empty without a network listener.
  const std::string& address() const { return address_; }

  // NOT_SERVING, no new calls, then waits for running ones until `grace` has passed and cancels the
  // rest. Blocks. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  ServerHost() = default;
  absl::Status Init(ServerOptions options);
  absl::Status Listen(const ServerOptions& options);

  std::string name_;
  std::string address_;
  std::string host_;
  int port_ = 0;
  std::vector<std::string> service_names_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ServerFront> front_;  // Null where gRPC's library listens.
  std::shared_ptr<CallGate> gate_;
  std::shared_ptr<DirectMethods::Calls> direct_calls_;  // May be null.
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

}  // namespace penstock::rpc
