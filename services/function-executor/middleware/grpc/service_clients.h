// Connections to the MiddlewareServices of users.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "libs/http/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/cancellation.h"
#include "libs/rpc/wire_unary.h"
#include "penstock/runtime/v1/runtime.pb.h"

namespace penstock::executor {

// Splits the target of a `grpc` step: "host:port", "dns:///host:port" and "http://host:port"
// without TLS, "https://host:port" with it. INVALID_ARGUMENT for anything else.
struct ServiceTarget {
  std::string address;  // "host:port".
  bool has_tls = false;
};
absl::StatusOr<ServiceTarget> ParseServiceTarget(std::string_view target);

// One service; all steps with its target share it. Thread-safe.
class ServiceClient {
 public:
  using Answer = absl::StatusOr<runtime::v1::ProcessCallResponse>;
  using Done = std::function<void(Answer)>;

  virtual ~ServiceClient() = default;

  // Asks; `done` runs once, on an event loop, never inside this call. It ends with what the service
  // said, DEADLINE_EXCEEDED, UNAVAILABLE, or PERMISSION_DENIED with reason EGRESS_DENIED.
  virtual void Ask(runtime::v1::ProcessCallRequest request, std::chrono::milliseconds timeout,
                   std::shared_ptr<rpc::Cancellation> cancellation, Done done) = 0;
};

// Gives out clients, and ends the connections of those that no step uses any more. Thread-safe.
class ServiceClients {
 public:
  // Asked with each address right before the connection to exactly it, on a loop.
  using Egress = std::function<absl::Status(const std::string& address, std::uint16_t port)>;

  // `tls` is for the targets that have it. `loops` must outlive it.
  ServiceClients(http::EventLoops& loops, Egress egress, http::ClientTls tls = {});
  // Stops.
  ~ServiceClients();
  ServiceClients(const ServiceClients&) = delete;
  ServiceClients& operator=(const ServiceClients&) = delete;

  // Connects to nothing yet. INVALID_ARGUMENT for a target that cannot be.
  absl::StatusOr<std::shared_ptr<ServiceClient>> Get(const std::string& target);

  // What is asked after it returns goes over no connection that is there now: for an egress policy
  // that has changed. Blocks.
  void RenewConnections();

  // Ends all questions with UNAVAILABLE, also later ones. Idempotent, blocks; before the loops
  // stop.
  void Stop();

 private:
  class Client;
  class Retired;

  absl::StatusOr<std::shared_ptr<rpc::UnaryCaller>> Connect(const ServiceTarget& target);

  http::EventLoops& loops_;
  const Egress egress_;
  const http::ClientTls tls_;
  http::Dns dns_;
  // Ends connections, which blocks. Shared with those that are to be ended.
  const std::shared_ptr<Retired> retired_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::map<std::string, std::weak_ptr<Client>> clients_;
};

}  // namespace penstock::executor
