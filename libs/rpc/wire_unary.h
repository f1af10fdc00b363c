// Unary gRPC calls on event loops.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/h2/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/generic_call.h"

namespace penstock::rpc {

struct UnaryCallerOptions {
  // As in h2::ClientOptions, like the next.
  std::optional<http::ClientTls> tls;
  std::function<absl::Status(const std::string& address, std::uint16_t port)> egress;
};

// Calls one server. Thread-safe, but for Call. `loops` and `dns` must outlive it.
class UnaryCaller {
 public:
  // True for addresses that Create takes: "host:port" and "dns:host:port". Servers in this process
  // and Unix sockets are for GenericCall.
  static bool Takes(const std::string& address);

  // Connects to nothing yet. INVALID_ARGUMENT for an address that it does not take, or a TLS file.
  static absl::StatusOr<std::unique_ptr<UnaryCaller>> Create(http::EventLoops& loops,
                                                             http::Dns& dns, std::string address,
                                                             UnaryCallerOptions options = {});

  // Calls "/package.Service/Method". Only on a loop; `done` runs on that loop once, never inside
  // this call. Both messages are shared with the call until then. The limit of time is
  // kUnaryTimeoutDefault when the options name none; an answer is at most
  // kMessageBytesMax. Where there is no connection it ends with UNAVAILABLE, or what
  // options.egress said. `wait_for_ready` counts for nothing. A call that the server says it has
  // not begun (REFUSED_STREAM, as at the end of a connection's age) is made once more.
  void Call(const std::string& method, std::shared_ptr<const google::protobuf::Message> request,
            std::shared_ptr<google::protobuf::Message> response, const CallOptions& options,
            GenericDone done);

  // Ends all calls with UNAVAILABLE and waits for that. Idempotent. Not from a loop.
  void Stop() { client_->Stop(); }

 private:
  UnaryCaller(http::EventLoops& loops, std::unique_ptr<h2::Client> client, std::string authority,
              std::string scheme)
      : loops_(loops),
        client_(std::move(client)),
        authority_(std::move(authority)),
        scheme_(std::move(scheme)) {}

  http::EventLoops& loops_;
  const std::unique_ptr<h2::Client> client_;
  const std::string authority_;
  const std::string scheme_;
};

}  // namespace penstock::rpc
