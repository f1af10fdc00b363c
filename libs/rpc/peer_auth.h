// The shared token with which services prove to each other that they are services.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/rpc/call_context.h"

namespace penstock::rpc {

// Immutable, thread-safe.
class PeerAuth {
 public:
  // Reads the token from the file, or creates the file (mode 0600, 32 random bytes as hexadecimal)
  // when it is missing. Several processes may start at once: all get the same token. Errors name
  // `peer.token_file`.
  static absl::StatusOr<std::shared_ptr<const PeerAuth>> Load(const std::string& path);

  // A token that lives in this process only, for services that share it.
  static std::shared_ptr<const PeerAuth> Random();

  // UNAUTHENTICATED when the caller sent no token, PERMISSION_DENIED when it sent another.
  absl::Status Check(const grpc::CallbackServerContext& context) const;
  absl::Status Check(const CallContext& context) const;

  // What a call carries.
  std::pair<std::string, std::string> Metadata() const;
  // Adds the token to a call that has not started.
  void Attach(grpc::ClientContext& context) const;
  // The token, for calls that are not gRPC's: metadata of the key kPeerTokenKey.
  const std::string& token() const { return token_; }

 private:
  explicit PeerAuth(std::string token) : token_(std::move(token)) {}
  absl::Status CheckToken(std::string_view given) const;

  const std::string token_;
};

}  // namespace penstock::rpc
