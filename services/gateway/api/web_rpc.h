// gRPC for clients that speak HTTP/1.1: the Connect protocol and gRPC-Web.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/grpc_targets.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/user_services.h"
#include "services/gateway/api/web_call.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// Serves `/{package.Service}/{Method}` for everything that the gRPC port has, and the users'
// services that are transcoded: unary calls and streams of answers. Binary messages pass without
// being known; JSON needs the method's types, which the suite's services and transcoded ones have.
// Thread-safe.
class WebRpc {
 public:
  // What it works with; must outlive it.
  struct Deps {
    const GrpcTargets& targets;
    const UserServices& services;
    const Authenticator& authenticator;
    const WebGuard& guard;
    std::shared_ptr<const rpc::PeerAuth> peer_auth;
  };

  explicit WebRpc(Deps deps) : deps_(std::move(deps)) {}

  // Answers a request of these protocols; false, and nothing is done, for every other. The caller
  // is known: HttpCall::principal.
  bool Handle(const std::shared_ptr<HttpCall>& call) const;
  // Answers it with an error.
  bool Fail(const std::shared_ptr<HttpCall>& call, const absl::Status& error) const;

 private:
  // What a method name leads to.
  struct Found {
    const GrpcTarget* target = nullptr;
    UserMethod service;
    MethodTypes types;

    bool is_known() const { return target != nullptr || service.upstream != nullptr; }
  };
  // A request of one of the protocols.
  struct Shape {
    std::string method;
    webrpc::Protocol protocol = webrpc::Protocol::kConnect;
    // Nothing: a codec that is not known.
    std::optional<webrpc::Codec> codec;
    bool is_get = false;
    // The answer is gRPC-Web in base64, whatever the request was.
    bool wants_text = false;
    Found found;

    WebForm form() const {
      return {wants_text ? webrpc::Protocol::kGrpcWebText : protocol,
              codec.value_or(webrpc::Codec::kProto)};
    }
  };

  std::optional<Shape> ShapeOf(const http::Request& request) const;
  Found Find(std::string_view method, std::string_view authority) const;
  absl::Status CheckCall(const HttpCall& call, const Shape& shape) const;
  absl::StatusOr<UpstreamRequest> RequestOf(HttpCall& call, const Shape& shape) const;

  const Deps deps_;
};

}  // namespace penstock::gateway
