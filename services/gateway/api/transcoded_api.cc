#include "services/gateway/api/transcoded_api.h"

#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/events/v1/subscription.pb.h>
#include <penstock/executions/v1/executor.pb.h>

#include <array>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/transcode/route_code.h"
#include "libs/transcode/transcoder.h"
#include "services/gateway/api/header_field.h"
#include "services/gateway/api/payload_type.h"
#include "services/gateway/api/pull_answer.h"
#include "services/gateway/api/route_wait.h"
#include "services/gateway/api/stream_answer.h"

namespace penstock::gateway {
namespace {

using google::protobuf::DynamicCastToGenerated;
using google::protobuf::Message;

constexpr std::array kServices = {"penstock.events.v1.EventBrokerService",
                                  "penstock.events.v1.EventCatalogService",
                                  "penstock.events.v1alpha1.TriggerCatalogService",
                                  "penstock.functions.v1.FunctionManagerService",
                                  "penstock.executions.v1.FunctionExecutorService"};

// The function's answer is the HTTP answer, unlike with every other method.
constexpr std::string_view kInvoke = "/penstock.executions.v1.FunctionExecutorService/Invoke";

// Its answer says that something will happen.
constexpr std::string_view kInvokeAsync =
    "/penstock.executions.v1.FunctionExecutorService/InvokeAsync";

constexpr int kAccepted = 202;

// With GET its path gives the same events as a stream.
constexpr std::string_view kPullEvents = "/penstock.events.v1.EventBrokerService/PullEvents";

// Whether a client takes server-sent events.
bool TakesEventStream(const http::Headers& headers) {
  const auto accept = headers.Find("Accept");
  if (!accept) return true;
  for (const std::string_view type : {"text/event-stream", "text/*", "*/*"}) {
    if (accept->find(type) != std::string_view::npos) return true;
  }
  return false;
}

http::Response NotFound(std::string_view path) {
  return ErrorAnswer(absl::NotFoundError(fmt::format("no such path: {}", path.substr(0, 200))));
}

// Publishing is no RPC of the table, but its path is one of it.
bool IsPublishPath(std::string_view path) {
  return path == "/events" || (path.starts_with("/spaces/") && path.ends_with("/events"));
}

// Whether a change concerns a route of this gateway.
bool ChangesRoute(const RouteBook& book, const std::string& deleted, const Message& response) {
  if (!deleted.empty()) return book.Has(deleted);
  const auto* changed = DynamicCastToGenerated<events::v1::Subscription>(&response);
  return changed != nullptr && changed->has_http();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TranscodedApi>> TranscodedApi::Create(const Deps& deps,
                                                                     Options options) {
  ASSIGN_OR_RETURN(const auto bindings, transcode::GeneratedBindings(kServices));
  ASSIGN_OR_RETURN(auto table, transcode::RouteTable::Build(bindings));
  return std::unique_ptr<TranscodedApi>(
      new TranscodedApi(deps, std::move(options), std::move(table)));
}

void TranscodedApi::Handle(const std::shared_ptr<HttpCall>& call) const {
  call->set_surface(Surface::kApi);
  const http::Request& request = call->request;
  const absl::Status allowed =
      deps_.guard.Check({.host = request.headers.Get("Host"),
                         .origin = request.headers.Get("Origin"),
                         .sec_fetch_site = request.headers.Get("Sec-Fetch-Site")});
  if (!allowed.ok()) return call->Fail(allowed);
  if (Pull(call)) return;
  const auto match = table_->Match(request.method, request.path());
  if (match.route == nullptr) {
    if (match.allowed_methods.empty()) return call->Respond(NotFound(request.path()));
    auto methods = match.allowed_methods;
    if (IsPublishPath(request.path())) methods.emplace_back("POST");
    return call->Respond(MethodNotAllowed(request, methods));
  }
  const bool takes_any =
      match.route->full_method == kInvoke || match.route->full_method == kInvokeAsync;
  if (!takes_any) {
    const absl::Status checked = CheckContentType(*match.route, request);
    if (!checked.ok()) return call->Respond(ErrorAnswer(415, checked));
  }
  if (PassOn(call, *match.route)) return;
  auto requests =
      RequestsOf(match, request,
                 takes_any ? PayloadContentType(request) : request.headers.Get("Content-Type"));
  if (!requests.ok()) return call->Fail(requests.status());
  if (match.route->full_method == kInvokeAsync) {
    auto* start =
        DynamicCastToGenerated<executions::v1::InvokeAsyncRequest>(requests->front().get());
    for (const auto& [header, field] : {std::pair(kStickyKey, start->mutable_sticky_key()),
                                        {kIdempotencyKey, start->mutable_idempotency_key()}}) {
      const absl::Status filled = FillFromHeader(request.headers, header, field);
      if (!filled.ok()) return call->Fail(filled);
    }
  }
  Call(call, *match.route, *std::move(requests));
}

bool TranscodedApi::Pull(const std::shared_ptr<HttpCall>& call) const {
  const http::Request& request = call->request;
  if (request.method != "GET" || !request.path().ends_with(":pull")) return false;
  const auto match = table_->Match("POST", request.path());
  if (match.route == nullptr || match.route->full_method != kPullEvents) return false;
  if (!TakesEventStream(request.headers)) {
    call->Respond(ErrorAnswer(
        406, FieldError("Accept", "expected text/event-stream; POST answers with JSON")));
    return true;
  }
  const auto start = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const PullChoices choices, ParsePullQuery(request.query()));
    ASSIGN_OR_RETURN(const auto message,
                     transcode::BuildRequest(*match.route, match.bindings, {}, {}));
    auto channel = deps_.backends.channel(Backend::kEventBroker).Get();
    if (!channel.ok()) return deps_.backends.Named(Backend::kEventBroker, channel.status());
    ASSIGN_OR_RETURN(auto options, deps_.call_options.For(*call, SpaceInName(request.path())));
    const auto* pull = DynamicCastToGenerated<events::v1::PullEventsRequest>(message.get());
    AnswerWithPull(*channel, {call, pull->subscription(), choices, std::move(options)},
                   deps_.backends);
    return absl::OkStatus();
  };
  if (const absl::Status status = start(); !status.ok()) call->Fail(status);
  return true;
}

absl::StatusOr<rpc::CallOptions> TranscodedApi::OptionsFor(HttpCall& call,
                                                           const transcode::Route& route) const {
  ASSIGN_OR_RETURN(auto options, deps_.call_options.For(call, SpaceInName(call.request.path())));
  if (!route.server_streaming) options.timeout = options_.timeout;
  RETURN_IF_ERROR(AddCallMetadata(call.request.headers, options_.headers, &options));
  return options;
}

bool TranscodedApi::PassOn(const std::shared_ptr<HttpCall>& call,
                           const transcode::Route& route) const {
  const bool is_json = !route.body_is_raw && !route.response_is_raw;
  if (deps_.proxy == nullptr || !is_json || route.server_streaming || route.client_streaming) {
    return false;
  }
  const auto options = OptionsFor(*call, route);
  if (!options.ok()) {
    call->Fail(options.status());
  } else {
    deps_.proxy->Call(call, route.http_method, *options, options_.headers);
  }
  return true;
}

void TranscodedApi::Call(const std::shared_ptr<HttpCall>& call, const transcode::Route& route,
                         std::vector<std::unique_ptr<Message>> requests) const {
  if (route.full_method == kInvoke) {
    call->set_surface(Surface::kInvoke);
    auto* invoke = DynamicCastToGenerated<executions::v1::InvokeRequest>(requests.at(0).get());
    invoke->clear_http();
    return deps_.functions.Call(call, std::move(*invoke));
  }
  const auto backend = OwnerOf(route.full_method);
  if (!backend) return call->Respond(NotFound(call->request.path()));
  TranscodedCall order{
      .call = call,
      .route = {table_, &route},
      .requests = std::move(requests),
      .channel = nullptr,
      .options = {},
      .named = [&backends = deps_.backends,
                backend](const absl::Status& status) { return backends.Named(*backend, status); },
      .header_rules = &options_.headers};
  const auto prepare = [&]() -> absl::Status {
    auto channel = deps_.backends.channel(*backend).Get();
    if (!channel.ok()) return order.named(channel.status());
    order.channel = *std::move(channel);
    order.caller = deps_.backends.caller(*backend);
    ASSIGN_OR_RETURN(order.options, OptionsFor(*call, route));
    return absl::OkStatus();
  };
  if (const absl::Status prepared = prepare(); !prepared.ok()) return call->Fail(prepared);
  if (route.server_streaming) return AnswerWithStream(std::move(order));

  // A client stream may be empty.
  const Message* first = order.requests.empty() ? nullptr : order.requests.front().get();
  const auto* deletes = DynamicCastToGenerated<events::v1::DeleteSubscriptionRequest>(first);
  std::string deleted = deletes == nullptr ? std::string() : deletes->name();
  const bool is_accepted = route.full_method == kInvokeAsync;
  CallForOne(std::move(order),
             [this, call, is_accepted, deleted = std::move(deleted)](OneAnswer answer) {
               if (is_accepted) answer.response.status = kAccepted;
               Finish(call, deleted, std::move(answer));
             });
}

void TranscodedApi::Finish(const std::shared_ptr<HttpCall>& call, const std::string& deleted,
                           OneAnswer answer) const {
  if (!answer.status.ok()) return call->Fail(answer.status);
  http::Response response = std::move(answer.response);
  const auto revision = ParseRevision(answer.revision);
  if (!revision.ok()) return call->Respond(std::move(response));

  deps_.revisions.Remember(SpaceInName(call->request.path()), *revision);
  response.headers.Set("Penstock-Revision", answer.revision);
  const bool is_broker = revision->service == BackendName(Backend::kEventBroker);
  if (!is_broker || !ChangesRoute(deps_.routes, deleted, *answer.message)) {
    return call->Respond(std::move(response));
  }
  WaitForRoutes(deps_.routes, revision->number, options_.routes_wait_max, call,
                [call, response = std::move(response)](bool reached) mutable {
                  if (!reached) response.headers.Set("Penstock-Consistency", "pending");
                  call->Respond(std::move(response));
                });
}

}  // namespace penstock::gateway
