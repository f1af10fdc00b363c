#include "services/gateway/api/front_door.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/config/version.h"
#include "services/gateway/api/cors.h"
#include "services/gateway/domain/reserved_paths.h"

namespace penstock::gateway {
namespace {

constexpr char kAbout[] =
    R"({{"service":"penstock-gateway","version":"{}","publish":"POST /events","api":"/api/v1/spaces/)"
    R"({{space}}/functions","invoke":"POST /api/v1/spaces/{{space}}/functions/{{function}}:invoke",)"
    R"("reference":"/docs","openapi":"/openapi.json"}})";

// What a path is for: ours (reserved: no route can have it) or anybody's.
enum class Owner { kPublish, kApi, kEmit, kInvoke, kReference, kNobody, kRoutes };

struct Target {
  Owner owner;
  // Of POST /spaces/{space}/events; empty with every other path.
  std::string_view space;
};

Target TargetOf(std::string_view method, std::string_view path) {
  const bool is_post = method == "POST";
  if (path == "/events") return {is_post ? Owner::kPublish : Owner::kApi, {}};
  const std::size_t slash = path.find('/', 1);
  const std::string_view first = path.substr(0, slash);
  if (first == "/api" || first == "/events" || first.starts_with("/events:")) {
    return {Owner::kApi, {}};
  }
  if (first == "/spaces") {
    constexpr std::string_view kPrefix = "/spaces/";
    constexpr std::string_view kSuffix = "/events";
    if (is_post && path.size() > kPrefix.size() + kSuffix.size() && path.ends_with(kSuffix)) {
      path.remove_prefix(kPrefix.size());
      path.remove_suffix(kSuffix.size());
      if (path.find('/') == std::string_view::npos) return {Owner::kPublish, path};
    }
    return {Owner::kApi, {}};
  }
  if (path == "/_emit") return {Owner::kEmit, {}};
  if (path == "/_invoke") return {Owner::kInvoke, {}};
  if (path == "/openapi.json") return {Owner::kReference, {}};
  return {IsReservedPath(path) ? Owner::kNobody : Owner::kRoutes, {}};
}

http::Response NotFound(std::string_view path) {
  return ErrorAnswer(
      absl::NotFoundError(fmt::format("no such path or route: {}", path.substr(0, 200))));
}

http::Response Only(std::string_view methods) {
  http::Response response = ErrorAnswer(
      405, absl::UnimplementedError(fmt::format("this path is served with {} only", methods)));
  response.headers.Set("Allow", methods);
  return response;
}

}  // namespace

void FrontDoor::Handle(http::Request request, std::shared_ptr<http::Exchange> exchange,
                       Keeper keeper) const {
  const auto call =
      std::make_shared<HttpCall>(std::move(request), std::move(exchange), env_, std::move(keeper));
  call->set_guard(surfaces_.guard);
  if (http::Response answer; AnswersPreflight(surfaces_.guard, call->request, &answer)) {
    return call->Respond(std::move(answer));
  }
  auto principal = surfaces_.authenticator.Check(call->request.headers);
  if (!principal.ok()) {
    // A browser has no key to show. With one, a route of the same path comes first: Rest().
    if (surfaces_.reference.Handle(call)) return;
    if (surfaces_.web_rpc.Fail(call, principal.status())) return;
    return call->Fail(principal.status());
  }
  call->principal = *std::move(principal);
  if (surfaces_.web_rpc.Handle(call)) return;
  Dispatch(call);
}

void FrontDoor::Proxy(http::Request request, std::shared_ptr<http::StreamExchange> exchange,
                      const ReverseProxy::Route& route, Keeper keeper) const {
  const auto call =
      std::make_shared<HttpCall>(std::move(request), exchange, env_, std::move(keeper));
  call->set_surface(Surface::kProxy);
  auto principal = surfaces_.authenticator.Check(call->request.headers);
  if (!principal.ok()) return call->Fail(principal.status());
  // The upstream is not to have the key to this gateway.
  surfaces_.authenticator.RemoveKey(call->request.headers);
  surfaces_.proxy.Handle(call, std::move(exchange), route);
}

void FrontDoor::Dispatch(const std::shared_ptr<HttpCall>& call) const {
  const http::Request& request = call->request;
  const Target target = TargetOf(request.method, request.path());
  switch (target.owner) {
    case Owner::kPublish: return surfaces_.publish.Publish(call, target.space);
    case Owner::kApi: return surfaces_.api.Handle(call);
    case Owner::kEmit:
      return request.method == "POST" ? surfaces_.publish.Emit(call) : call->Respond(Only("POST"));
    case Owner::kInvoke:
      return request.method == "POST" ? surfaces_.functions.CallByHeader(call)
                                      : call->Respond(Only("POST"));
    case Owner::kReference:
      if (!surfaces_.reference.Handle(call)) call->Respond(Only("GET, HEAD"));
      return;
    case Owner::kNobody: return call->Respond(NotFound(request.path()));
    case Owner::kRoutes: break;
  }
  if (surfaces_.services.Handle(call) || surfaces_.http_events.Handle(call)) return;
  if (!surfaces_.services.RefuseMethod(call)) Rest(call);
}

void FrontDoor::Rest(const std::shared_ptr<HttpCall>& call) const {
  const http::Request& request = call->request;
  const std::string_view event = request.headers.Get("Event");
  if (request.method == "POST" && !event.empty()) {
    if (event == "invoke" && request.headers.Has("Function-ID")) {
      return surfaces_.functions.CallByHeader(call);
    }
    return surfaces_.publish.Emit(call);
  }
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (reads && request.path() == "/") {
    return call->Respond(http::Response::Json(200, fmt::format(kAbout, config::Version())));
  }
  if (surfaces_.reference.Handle(call)) return;
  call->Respond(NotFound(request.path()));
}

std::size_t FrontDoor::BodyLimit(const http::Request& head) const {
  return EventBodyLimit(head.headers, surfaces_.publish.limits());
}

}  // namespace penstock::gateway
