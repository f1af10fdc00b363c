// Decides which surface an HTTP request is for.
#pragma once

#include <memory>

#include "libs/http/server.h"
#include "services/gateway/api/api_reference.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/function_calls.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_events.h"
#include "services/gateway/api/publish_api.h"
#include "services/gateway/api/reverse_proxy.h"
#include "services/gateway/api/transcoded_api.h"
#include "services/gateway/api/user_services.h"
#include "services/gateway/api/web_rpc.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// The surfaces behind the front door; they outlive it.
struct FrontDoorSurfaces {
  PublishApi& publish;
  const TranscodedApi& api;
  const FunctionCalls& functions;
  const HttpEvents& http_events;
  const UserServices& services;
  const Authenticator& authenticator;
  const ReverseProxy& proxy;
  const ApiReference& reference;
  const WebRpc& web_rpc;
  const WebGuard& guard;
};

// Thread-safe. The environment must outlive every request; so must the surfaces, unless what a
// request is handed with keeps them.
class FrontDoor {
 public:
  // What holds the surfaces; a request keeps it to its end. Null where they outlive all requests.
  using Keeper = std::shared_ptr<const void>;

  FrontDoor(const FrontDoorSurfaces& surfaces, const CallEnv& env)
      : surfaces_(surfaces), env_(env) {}

  // As http::Handler.
  void Handle(http::Request request, std::shared_ptr<http::Exchange> exchange, Keeper keeper) const;

  // The proxied route of a request, of which only the head was read; null when it has none.
  const ReverseProxy::Route* RouteOf(const http::Request& head) const {
    return surfaces_.proxy.Find(head);
  }
  // As http::StreamHandler, for the requests of that route.
  void Proxy(http::Request request, std::shared_ptr<http::StreamExchange> exchange,
             const ReverseProxy::Route& route, Keeper keeper) const;

  // As http::ServerOptions::body_bytes_max_of.
  std::size_t BodyLimit(const http::Request& head) const;

 private:
  void Dispatch(const std::shared_ptr<HttpCall>& call) const;
  // What no route and no path of ours takes.
  void Rest(const std::shared_ptr<HttpCall>& call) const;

  const FrontDoorSurfaces surfaces_;
  const CallEnv& env_;
};

}  // namespace penstock::gateway
