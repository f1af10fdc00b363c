// Calls on a Penstock server, from a program that may wait for them.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "tools/penstock/client/exchange.h"

namespace penstock::cli {

// PEM files; empty for none.
struct ClientTlsFiles {
  std::string ca;  // Instead of the system's authorities.
  std::string certificate;
  std::string key;
};

struct ClientOptions {
  // "host:port" of the gateway's gRPC listener.
  std::string server = "127.0.0.1:8082";
  // Connects with TLS.
  std::optional<ClientTlsFiles> tls;
  // Sent as `authorization: Bearer <token>`; empty: not sent.
  std::string token;
  // The limit of a unary call that names none.
  std::chrono::milliseconds timeout{10'000};
};

// A connection to one server. Not thread-safe: one thread calls and waits. Messages are encoded
// here, so that users of this header compile no gRPC. An error that means that no server answers is
// NotReachableError.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Calls the unary `method` ("/package.Service/Method") and waits. `timeout` replaces the
  // connection's.
  template <typename Response>
  absl::StatusOr<Response> Call(const std::string& method, const google::protobuf::Message& request,
                                std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    Response response;
    const absl::Status status = CallRaw(method, request, &response, timeout);
    if (!status.ok()) return status;
    return response;
  }

  // Calls a method that streams its answers, and gives each to `on_message` in this thread, until
  // that returns false (OK), the server ends the stream (its status), or the answers arrive faster
  // than they are taken (RESOURCE_EXHAUSTED).
  template <typename Response>
  absl::Status Stream(const std::string& method, const google::protobuf::Message& request,
                      const std::function<bool(const Response&)>& on_message) {
    ASSIGN_OR_RETURN(const auto exchange, Open(method));
    exchange->Send(request);
    exchange->EndSending();
    for (;;) {
      ASSIGN_OR_RETURN(const auto response, exchange->Receive<Response>());
      if (!response || !on_message(*response)) return absl::OkStatus();
    }
  }

  // Starts a call that streams. Other calls may be made while it runs.
  absl::StatusOr<std::unique_ptr<Exchange>> Open(const std::string& method);

  const ClientOptions& options() const { return options_; }

 private:
  struct Parts;

  absl::Status CallRaw(const std::string& method, const google::protobuf::Message& request,
                       google::protobuf::Message* response,
                       std::optional<std::chrono::milliseconds> timeout);
  absl::Status Connect();
  // NotReachableError in place of `status` when it says that nothing answers.
  absl::Status Explain(const absl::Status& status) const;

  const ClientOptions options_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::cli
