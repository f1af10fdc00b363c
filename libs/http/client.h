// The HTTP/1.1 client with pooled connections.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/cancelable.h"
#include "libs/http/client_stream.h"
#include "libs/http/event_loops.h"
#include "libs/http/message.h"

namespace penstock::http {

// Reasons (ErrorInfo, see ReasonOf) of the statuses that Client::Send ends with. INVALID_ARGUMENT
// about the request itself has none.
inline constexpr char kConnectFailed[] = "CONNECT_FAILED";    // UNAVAILABLE: nothing was sent.
inline constexpr char kConnectTimeout[] = "CONNECT_TIMEOUT";  // UNAVAILABLE: nothing was sent.
inline constexpr char kDnsFailed[] = "DNS_FAILED";            // UNAVAILABLE: nothing was sent.
inline constexpr char kTlsFailed[] = "TLS_FAILED";            // UNAVAILABLE: nothing was sent.
inline constexpr char kEgressDenied[] = "EGRESS_DENIED";  // PERMISSION_DENIED: nothing was sent.
inline constexpr char kQueueFull[] = "QUEUE_FULL";        // RESOURCE_EXHAUSTED: nothing was sent.
inline constexpr char kQueueTimeout[] = "QUEUE_TIMEOUT";  // DEADLINE_EXCEEDED: nothing was sent.
inline constexpr char kConnectionLost[] =
    "CONNECTION_LOST";  // UNAVAILABLE: may have been processed.
inline constexpr char kResponseTimeout[] =
    "RESPONSE_TIMEOUT";  // DEADLINE_EXCEEDED: may have been processed.
inline constexpr char kResponseTooLarge[] =
    "RESPONSE_TOO_LARGE";  // RESOURCE_EXHAUSTED: was processed.
inline constexpr char kResponseMalformed[] =
    "RESPONSE_MALFORMED";                        // UNAVAILABLE: may have been processed.
inline constexpr char kCanceled[] = "CANCELED";  // CANCELLED: may have been processed.

struct ClientRequest {
  std::string method = "GET";
  // Absolute http or https URL.
  std::string url;
  // Host defaults to the URL's; Content-Length and Connection are the client's own and must be
  // absent.
  Headers headers;
  // Shared, so that one payload can go to many. Null: no body.
  std::shared_ptr<const std::string> body;
  // From Send to the answer's last byte.
  std::chrono::milliseconds timeout{30'000};
  // Name resolution, TCP and TLS.
  std::chrono::milliseconds connect_timeout{5'000};
  // The body of the answer, after chunk decoding.
  std::size_t response_bytes_max = 8 * 1024 * 1024;
  // True when sending twice does no harm: then a request that went out on a pooled connection which
  // closed without a byte of an answer is sent once more on a fresh one.
  bool idempotent = false;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
  // The address that answered.
  std::string remote_address;
};

struct ClientTls {
  // PEM file of authorities to trust in place of the system's. Empty: the system's.
  std::string ca_file;
  // A certificate to present; empty: none.
  std::string cert_file;
  std::string key_file;
  // False accepts any certificate. For development only.
  bool verify_peer = true;
};

// Where the streams of one server go, made once for many.
struct ClientTarget {
  // The path of `server` does not count.
  explicit ClientTarget(Url server);

  Url url;
  // What its connections are pooled by.
  std::string key;
};

struct ClientOptions {
  // Connections to one host and port, over all loops (at least one a loop).
  int connections_per_host_max = 64;
  // Requests that wait for one of them, a loop.
  std::size_t queue_per_host_max = 1024;
  // An unused connection closes after this.
  std::chrono::milliseconds idle_timeout{30'000};
  // How long a resolved name is reused; every connect checks the address again. Zero: not at all.
  std::chrono::milliseconds dns_cache{5'000};
  // Names that are looked up at the same time.
  int dns_threads = 4;
  ClientTls tls;
  // Asked with each resolved numeric address right before the connection to exactly it. May be
  // empty: all allowed. Runs on a loop.
  std::function<absl::Status(const std::string& address, std::uint16_t port)> egress;
};

struct ClientStats {
  std::uint64_t requests_total = 0;
  std::uint64_t connections_opened_total = 0;
  std::uint64_t connections_reused_total = 0;
  std::uint64_t retries_total = 0;
};

// Sends requests over pooled connections; each loop has a pool of its own. Thread-safe. `loops`
// must outlive it.
class Client {
 public:
  using Options = ClientOptions;
  using Done = absl::AnyInvocable<void(absl::StatusOr<ClientResponse>)>;

  // Fails when a TLS file cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Create(EventLoops& loops, Options options);
  // Stops.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends `request` from the caller's loop, or from the loops in turn when called elsewhere. `done`
  // runs exactly once on that loop, never inside this call. Cancel() on the result ends the request
  // with CANCELLED. The connection of a request that ended without an answer is closed before
  // `done` runs.
  std::shared_ptr<Cancelable> Send(ClientRequest request, Done done);

  // A request to `target` in pieces, to be started with Start. Only on one of the loops; the stream
  // and its events stay on it.
  std::shared_ptr<ClientStream> OpenStream(const ClientTarget& target, ClientStreamRequest request,
                                           std::shared_ptr<ClientStream::Events> events);

  ClientStats Stats() const;

  // No request that begins after it returns goes over a connection that is there now: those that
  // are unused close, the others when their request is over. For an egress policy that has changed.
  // Not from a loop.
  void RenewConnections();

  // Ends all requests with CANCELLED and closes all connections; waits for that. Idempotent. Not
  // from a loop.
  void Stop();

 private:
  class Impl;
  explicit Client(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock::http
