// The HTTP/2 client: streams to one upstream, over a few connections a loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/h2/session.h"
#include "libs/h2/stream.h"
#include "libs/http/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"

namespace penstock::h2 {

// Splits "host:port", "[::1]:port". False for anything else.
bool SplitAddress(const std::string& address, std::string& host, std::uint16_t& port);

struct ClientOptions {
  // "host:port" each; streams spread over those that answer, and over all numeric addresses that a
  // name has.
  std::vector<std::string> addresses;
  // In place of addresses: gives a connected stream socket, which the client then owns. Runs on a
  // loop; must not block.
  std::function<absl::StatusOr<int>()> connect;
  // TLS, with "h2" by ALPN; without it HTTP/2 with prior knowledge.
  std::optional<http::ClientTls> tls;
  // Asked with each resolved numeric address right before the connection to exactly it. May be
  // empty: all allowed. Runs on a loop. An address that it refuses is passed over.
  std::function<absl::Status(const std::string& address, std::uint16_t port)> egress;
  // Name resolution, TCP and TLS.
  std::chrono::milliseconds connect_timeout{5'000};
  // Pause after a failed connect, doubled with each further one. During the pause streams fail at
  // once, if no other address answers.
  std::chrono::milliseconds backoff_initial{100};
  std::chrono::milliseconds backoff_max{3'000};
  // On one loop and address: another connection is opened when each has so many streams, or as many
  // as the peer allows.
  std::size_t streams_per_connection = 100;
  std::size_t connections_per_address_max = 4;
  // Streams of one loop that wait for a connection; more fail at once.
  std::size_t waiting_max = 10'000;
  // `is_server` counts for nothing.
  SessionOptions session{
      .header_list_max = 64 * 1024, .connection_window = 16 * 1024 * 1024, .shares_window = true};
};

class ClientPool;

// Connects when it is first used, and again when a connection was lost or says GOAWAY. Dead peers
// are found by TCP keep-alive, as servers of gRPC take offence at PING. Thread-safe, but for Open.
// `loops` and `dns` must outlive it.
class Client {
 public:
  using Options = ClientOptions;

  // INVALID_ARGUMENT naming an address without port, or the TLS file at fault.
  static absl::StatusOr<std::unique_ptr<Client>> Create(http::EventLoops& loops, http::Dns& dns,
                                                        Options options);
  // Stops.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Starts a request on the calling loop. `head` holds the pseudo fields first; `end` says that
  // there is no body. `handler` is never called inside this call; it gets OnClosed with
  // kConnectionLost when there is no connection, and LastError says why. Only on a loop.
  Stream& Open(Fields head, bool end, StreamHandler* handler);

  // Why there was no connection, the last time that one could not be made from this loop; OK when
  // it could. UNAVAILABLE, or what options.egress said of the last address, with
  // reason EGRESS_DENIED. Only on a loop.
  absl::Status LastError() const;

  // Ends all streams with kConnectionLost and closes all connections; waits for that. Idempotent.
  // Not from a loop.
  void Stop();

 private:
  struct Parts;
  explicit Client(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::h2
