// The network side of a server: HTTP/2 on event loops, in front of gRPC's library.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/h2/client.h"
#include "libs/h2/server.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/grpc_relay.h"

namespace penstock::rpc {

struct ServerFrontOptions {
  // A numeric address.
  std::string bind_address;
  std::uint16_t port = 0;
  std::size_t message_bytes_max = 0;
  std::chrono::milliseconds keepalive{30'000};
  std::chrono::milliseconds age_max{0};
  // Served on the loops, without gRPC's library; must outlive the front.
  const DirectMethods* methods = nullptr;
  // Gives a connection to gRPC's server, which takes everything else. Runs on a loop.
  std::function<absl::StatusOr<int>()> connect;
};

// Serves the streams of `methods` itself and passes all other calls on, frame by frame: also
// streams of those methods with compressed messages, or in another format than protobuf.
// Thread-safe. `loops` must outlive it.
class ServerFront {
 public:
  using Options = ServerFrontOptions;

  // Listens. The error names address and port.
  static absl::StatusOr<std::unique_ptr<ServerFront>> Start(http::EventLoops& loops,
                                                            Options options);
  // Stops.
  ~ServerFront();
  ServerFront(const ServerFront&) = delete;
  ServerFront& operator=(const ServerFront&) = delete;

  int port() const { return server_->port(); }

  // No new connections, to here or to gRPC's server, and soon no new calls on those that there are.
  void BeginDrain();
  // Ends everything, once the answers that are ready have left or a moment has passed. Idempotent.
  // Not from a loop.
  void Stop();

 private:
  ServerFront(http::EventLoops& loops, Options options);
  absl::StatusOr<int> Connect();
  void Handle(h2::Stream& stream, h2::Fields head, bool end);
  bool Serves(const h2::Fields& head) const;
  void Serve(h2::Stream& stream, const h2::Fields& head, bool end);

  http::EventLoops& loops_;
  const Options options_;
  http::Dns dns_;  // Has nothing to look up.
  std::unique_ptr<h2::Client> client_;
  std::optional<RelayTarget> target_;
  std::unique_ptr<h2::Server> server_;
  std::mutex mutex_;
  bool is_draining_ = false;
};

}  // namespace penstock::rpc
