// The HTTP/2 server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/h2/session.h"
#include "libs/h2/stream.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"

namespace penstock::h2 {

// Gets each request on its connection's loop, and sets the stream's handler; must not block. With
// `end` the request has no body. `stream` is reset when no handler was set and nothing was
// answered.
using RequestHandler = std::function<void(Stream& stream, Fields head, bool end)>;

struct ServerOptions {
  // A numeric address.
  std::string bind_address = "127.0.0.1";
  // 0 picks a free port.
  std::uint16_t port = 0;
  // With a certificate: TLS, and "h2" by ALPN. Without: HTTP/2 with prior knowledge (RFC 9113,
  // 3.3).
  http::ServerTls tls;
  // Over all loops; one more is closed at once.
  std::size_t connections_max = 10'000;
  // `is_server` counts for nothing.
  SessionOptions session;
  // From the connection to the client's preface, TLS included.
  std::chrono::milliseconds handshake_timeout{10'000};
  // A connection without streams says GOAWAY after this.
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(30);
  // A connection on which nothing arrives for so long is asked by PING, and closed when the answer
  // does not come in time.
  std::chrono::milliseconds keepalive{30'000};
  std::chrono::milliseconds keepalive_timeout{10'000};
  // A connection says GOAWAY at about this age (10 % more or less), so that clients spread over new
  // replicas; its streams end in peace. Zero: never.
  std::chrono::milliseconds age_max{0};
};

struct ServerStats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t requests_total = 0;
};

// Listens on one port and hands connections to the loops in turn. Thread-safe. `loops` must outlive
// the server. Stop order: StopAccepting, Drain, Stop; the destructor stops.
class Server {
 public:
  using Options = ServerOptions;

  // Binds and starts to accept. Fails with a status that names address and port, or the TLS file at
  // fault.
  static absl::StatusOr<std::unique_ptr<Server>> Start(http::EventLoops& loops, Options options,
                                                       RequestHandler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The port that is bound.
  std::uint16_t port() const;
  ServerStats Stats() const;

  // Reads the TLS files, and gives what makes connections that come from then on go by them; those
  // that are open go on as they began. Fails as Start does. What it gives is called once at most,
  // while the server lives.
  absl::StatusOr<std::function<void()>> PrepareTls(const http::ServerTls& tls);

  // In place of ServerOptions::connections_max; connections that are open stay.
  void SetConnectionsMax(std::size_t max);

  // Closes the listening socket. Connections go on.
  void StopAccepting();
  // Stops accepting and says GOAWAY on all connections. Blocks until no connection is left (true)
  // or `deadline` passed (false).
  bool Drain(std::chrono::milliseconds deadline);
  // Closes everything; streams that are open end with kConnectionLost. No handler runs any more
  // when it returns. Idempotent. Not from a loop.
  void Stop();

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock::h2
