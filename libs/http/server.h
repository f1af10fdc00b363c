// The HTTP/1.1 server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/event_loops.h"
#include "libs/http/message.h"
#include "libs/http/pieces.h"

namespace penstock::http {

// One request being answered: either Respond, or StartStream, Write…, End. Thread-safe. An exchange
// that is dropped unanswered answers 500; a stream that is dropped before End is cut off, so that
// the client sees it is incomplete. Calls after the answer are ignored, as are all calls after the
// client went away.
class Exchange {
 public:
  // Gets OK when the chunk was handed to the kernel; otherwise it was dropped: RESOURCE_EXHAUSTED
  // when more than Limits::stream_bytes_max wait already (the stream goes on), UNAVAILABLE when the
  // client is gone.
  using OnWritten = absl::AnyInvocable<void(const absl::Status&)>;

  virtual ~Exchange() = default;

  // Sends the whole answer.
  virtual void Respond(Response response) = 0;

  // Sends the head of an answer whose body follows in chunks.
  virtual void StartStream(int status, Headers headers) = 0;
  // Sends a piece of the body at once. `on_written` (may be empty) runs on the connection's loop
  // exactly once.
  virtual void Write(std::string chunk, OnWritten on_written) = 0;
  // Ends the body. Nothing may follow.
  virtual void End() = 0;

  // `callback` runs once on the connection's loop when the client went away before the answer was
  // complete; soon, if it has gone already; never when the answer was completed. The last callback
  // set counts. A client that closed only its sending side counts as gone, but still gets what
  // Respond sends.
  virtual void OnClosed(absl::AnyInvocable<void()> callback) = 0;
  // True when the client is gone as far as the kernel knows at this moment, which is before
  // OnClosed tells: its callback waits until the loop comes to it, and a request on another
  // connection may be handled first. Only on the connection's loop, and before the answer.
  virtual bool IsClientGone() = 0;

  // The index of the connection's loop.
  virtual int loop() const = 0;
};

// The head of an answer whose body follows in pieces.
struct StreamHead {
  int status = 200;
  // Content-Length, Connection and the like are ignored, as in a Response; Date is sent as it is.
  Headers headers;
  // The body's length, or that which an answer to HEAD declares. Without it the body is sent in
  // chunks.
  std::optional<std::uint64_t> content_length;
};

// An exchange whose request's body arrives, and whose answer's body leaves, in pieces that nobody
// copies. Only on the connection's loop. The answer is that of an Exchange, or one of StartPieces
// and StartTunnel.
class StreamExchange : public Exchange {
 public:
  // Told once; either runs after a call said kPending, when it has news.
  virtual void SetCallbacks(absl::AnyInvocable<void()> on_readable,
                            absl::AnyInvocable<void()> on_writable) = 0;

  // Replaces `pieces` by the next of the request's body, or of what a tunnel brings; they stay
  // valid until the next ReadPieces or Release. A client that waits for "100 Continue" gets it
  // now. A body that ends too early or is malformed closes the connection.
  virtual Progress ReadPieces(Pieces& pieces) = 0;
  // The pieces are not needed any more.
  virtual void Release() = 0;

  // Begins the answer; what it sends waits for WritePieces.
  virtual void StartPieces(StreamHead head) = 0;
  // Answers 101 with `headers`, Connection and Upgrade among them. From now on pieces are raw bytes
  // both ways.
  virtual void StartTunnel(const Headers& headers) = 0;
  // Sends what waits and `pieces` (which may be none). One call at a time; the bytes stay where
  // they are until it is done. The last pieces end the answer, or that direction of the tunnel.
  virtual Progress WritePieces(const Pieces& pieces) = 0;
  // Closes the connection, so that the client sees that the answer is incomplete.
  virtual void Abort() = 0;
};

// Called on the connection's loop; must not block.
using StreamHandler = std::function<void(Request head, std::shared_ptr<StreamExchange> exchange)>;

// Called on the connection's loop; must not block.
using Handler = std::function<void(Request request, std::shared_ptr<Exchange> exchange)>;

struct ServerLimits {
  // Request line and header fields together; more is 431.
  std::size_t header_bytes_max = 16 * 1024;
  // The target in the request line; more is 414.
  std::size_t target_bytes_max = 8 * 1024;
  // Number of header fields; more is 431.
  std::size_t header_fields_max = 100;
  // The body, after chunk decoding; more is 413.
  std::size_t body_bytes_max = 1024 * 1024;
  // The extensions of all chunks of one body together, which nobody reads; more is 400. A trailer
  // is held to header_bytes_max and header_fields_max of its own, and is dropped.
  std::size_t chunk_extension_bytes_max = 4 * 1024;
  // Open connections over all loops; one more gets 503.
  std::size_t connections_max = 10'000;
  // Bytes of following requests that are read while one is being answered; requests of one
  // connection are handled one after the other, in order.
  std::size_t pipeline_bytes_max = 64 * 1024;
  // Bytes of one stream that wait for a slow client; each chunk counts 64 more.
  std::size_t stream_bytes_max = 1024 * 1024;
  // How much of a refused request is read and dropped, so that the refusal reaches a client that is
  // still sending.
  std::size_t drain_bytes_max = 16 * 1024 * 1024;
};

struct ServerTimeouts {
  // From the connection or a request's first byte to the end of its header.
  std::chrono::milliseconds header_read{10'000};
  // From the end of the header to the end of the body; of a body in pieces, for the next piece.
  std::chrono::milliseconds body_read{30'000};
  // Between requests of one connection.
  std::chrono::milliseconds idle{75'000};
  // Without progress in sending an answer.
  std::chrono::milliseconds write{30'000};
  // For what follows a refused request (see ServerLimits::drain_bytes_max).
  std::chrono::milliseconds drain{3'000};
};

struct ServerTls {
  // PEM files. Empty `cert_file`: plain HTTP.
  std::string cert_file;
  std::string key_file;
  // When set, clients must present a certificate signed by one of these authorities.
  std::string client_ca_file;
};

struct ServerOptions {
  // A numeric address.
  std::string bind_address = "127.0.0.1";
  // 0 picks a free port.
  std::uint16_t port = 0;
  ServerLimits limits;
  ServerTimeouts timeouts;
  ServerTls tls;
  // The body limit for a request whose head was read, in place of limits.body_bytes_max. May be
  // empty. Runs on a loop.
  std::function<std::size_t(const Request& head)> body_bytes_max_of;
  // Gives the handler of a request that is to be handed over when its head was read, its body in
  // pieces and without limit; null for every other. May be empty. Runs on a loop; the handler is
  // called right after it, before anything else runs there.
  std::function<StreamHandler(const Request& head)> stream_handler_of;
  // Makes the answers to what the server itself refuses (400, 408, 413, 414, 417, 431, 500, 503,
  // 505). May be empty: ErrorResponse. Runs on a loop.
  std::function<Response(int http_status, const absl::Status& error)> error_response;
};

// Counters since the start; connections_open is the present number.
struct ServerStats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t requests_total = 0;
  // Answers that the server itself gave because it refused.
  std::uint64_t refusals_total = 0;
  // Answers by class: [2] counts 2xx.
  std::uint64_t responses_total[6] = {};
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

// Listens on one port and hands connections to the loops in turn. Thread-safe. `loops` must outlive
// the server. Stop order: StopAccepting, Drain, Stop; the destructor stops.
class Server {
 public:
  using Options = ServerOptions;

  // Binds and starts to accept. Fails with a status that names address and port, or the TLS file at
  // fault.
  static absl::StatusOr<std::unique_ptr<Server>> Start(EventLoops& loops, Options options,
                                                       Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The port that is bound.
  std::uint16_t port() const;
  ServerStats Stats() const;

  // Reads the TLS files, and gives what makes connections that come from then on go by all this;
  // those that are open go on as they began. Fails as Start does when a file cannot be used. What
  // it gives is called once at most, while the server lives, and not from a loop.
  absl::StatusOr<std::function<void()>> PrepareUpdate(const ServerLimits& limits,
                                                      const ServerTimeouts& timeouts,
                                                      const ServerTls& tls);

  // Closes the listening socket. Connections go on.
  void StopAccepting();
  // Stops accepting, closes idle connections, lets requests in flight finish with `Connection:
  // close`. Blocks until no connection is left (true) or `deadline` passed (false). Streams count
  // as in flight: end them first.
  bool Drain(std::chrono::milliseconds deadline);
  // Closes everything and waits until no handler runs any more. Idempotent. Not from a loop.
  void Stop();

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock::http
