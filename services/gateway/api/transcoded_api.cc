#include "services/gateway/api/transcoded_api.h"

#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/events/v1/subscription.pb.h>

#include <array>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/rpc/generic_call.h"
#include "libs/rpc/metadata.h"
#include "libs/transcode/transcoder.h"
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

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

// A body must say that it is JSON: what a form can send is refused, so that no page can call this.
bool MustBeJson(const transcode::Route& route, const http::Request& request) {
  if (route.full_method == kInvoke || request.method == "GET" || request.method == "HEAD") {
    return false;
  }
  return !request.body.empty() || request.headers.Has("Content-Type");
}

http::Response NotFound(std::string_view path) {
  return ErrorAnswer(absl::NotFoundError(fmt::format("no such path: {}", path.substr(0, 200))));
}

// Publishing is no RPC of the table, but its path is one of it.
bool IsPublishPath(std::string_view path) {
  return path == "/events" || (path.starts_with("/spaces/") && path.ends_with("/events"));
}

http::Response MethodNotAllowed(const http::Request& request, std::vector<std::string> allowed) {
  if (IsPublishPath(request.path())) allowed.emplace_back("POST");
  const std::string list = Join(allowed);
  http::Response response =
      ErrorAnswer(405, absl::UnimplementedError(fmt::format("{} is not served here; expected {}",
                                                            request.method, list)));
  response.headers.Set("Allow", list);
  return response;
}

}  // namespace

// A call under way.
struct TranscodedApi::Unary {
  std::shared_ptr<HttpCall> call;
  const transcode::Route* route;
  Backend backend;
  std::shared_ptr<Message> request;
  std::shared_ptr<Message> response;
  absl::Status status;
  std::string revision;

  // Whether the change concerns a route of this gateway.
  bool ChangesRoute(const RouteBook& book) const {
    if (const auto* deleted =
            DynamicCastToGenerated<events::v1::DeleteSubscriptionRequest>(request.get())) {
      return book.Has(deleted->name());
    }
    const auto* changed = DynamicCastToGenerated<events::v1::Subscription>(response.get());
    return changed != nullptr && changed->has_http();
  }
};

absl::StatusOr<std::unique_ptr<TranscodedApi>> TranscodedApi::Create(const Deps& deps,
                                                                     Options options) {
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const char* name : kServices) {
    const auto* pool = google::protobuf::DescriptorPool::generated_pool();
    services.push_back(pool->FindServiceByName(name));
    if (services.back() == nullptr) {
      return absl::InternalError(fmt::format("the contract of {} is not linked in", name));
    }
  }
  ASSIGN_OR_RETURN(auto table, transcode::RouteTable::Build(services));
  return std::unique_ptr<TranscodedApi>(new TranscodedApi(deps, options, std::move(table)));
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
  const std::string_view method = request.method == "HEAD" ? "GET" : request.method.c_str();
  const auto match = table_.Match(method, request.path());
  if (match.route == nullptr) {
    return call->Respond(match.allowed_methods.empty()
                             ? NotFound(request.path())
                             : MethodNotAllowed(request, match.allowed_methods));
  }
  const std::string_view content_type = request.headers.Get("Content-Type");
  if (MustBeJson(*match.route, request) &&
      (content_type.empty() || !cloudevents::IsJsonContentType(content_type))) {
    return call->Respond(ErrorAnswer(
        415, FieldError("Content-Type", "expected application/json, as writes have JSON bodies")));
  }
  auto message = transcode::BuildRequest(
      *match.route, match.bindings, request.query(),
      {.content_type =
           match.route->full_method == kInvoke ? PayloadContentType(request) : content_type,
       .data = request.body});
  if (!message.ok()) return call->Fail(message.status());
  Call(call, *match.route, *std::move(message));
}

bool TranscodedApi::Pull(const std::shared_ptr<HttpCall>& call) const {
  const http::Request& request = call->request;
  if (request.method != "GET" || !request.path().ends_with(":pull")) return false;
  const auto match = table_.Match("POST", request.path());
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

void TranscodedApi::Call(const std::shared_ptr<HttpCall>& call, const transcode::Route& route,
                         std::unique_ptr<Message> request) const {
  if (route.full_method == kInvoke) {
    call->set_surface(Surface::kInvoke);
    auto* invoke = DynamicCastToGenerated<executions::v1::InvokeRequest>(request.get());
    invoke->clear_http();
    return deps_.functions.Call(call, std::move(*invoke));
  }
  const auto backend = OwnerOf(route.full_method);
  if (!backend) return call->Respond(NotFound(call->request.path()));
  auto channel = deps_.backends.channel(*backend).Get();
  if (!channel.ok()) return call->Fail(deps_.backends.Named(*backend, channel.status()));
  auto options = deps_.call_options.For(*call, SpaceInName(call->request.path()));
  if (!options.ok()) return call->Fail(options.status());
  if (route.server_streaming) {
    return AnswerWithStream(*channel, {call, &route, std::move(request), *options, *backend},
                            deps_.backends);
  }
  options->timeout = options_.timeout;
  auto unary = std::make_shared<Unary>();
  unary->call = call;
  unary->route = &route;
  unary->backend = *backend;
  unary->request = std::move(request);
  unary->response.reset(route.response_prototype->New());
  CallUnary(std::move(unary), *channel, *options);
}

void TranscodedApi::CallUnary(std::shared_ptr<Unary> unary,
                              const std::shared_ptr<grpc::Channel>& channel,
                              const rpc::CallOptions& options) const {
  rpc::GenericCall(channel, unary->route->full_method, unary->request, unary->response, options,
                   [this, unary](const absl::Status& status, const rpc::ResponseMetadata& given) {
                     unary->status = status;
                     unary->revision = given.Trailing(rpc::kRevisionKey);
                     unary->call->Post([this, unary] { Finish(unary); });
                   });
}

void TranscodedApi::Finish(const std::shared_ptr<Unary>& unary) const {
  HttpCall& call = *unary->call;
  if (!unary->status.ok()) return call.Fail(deps_.backends.Named(unary->backend, unary->status));
  auto body = transcode::BuildResponse(*unary->route, *unary->response);
  if (!body.ok()) return call.Fail(absl::InternalError(body.status().message()));
  http::Response response;
  response.body = std::move(body->data);
  response.headers.Set("Content-Type", body->content_type);
  const auto revision = ParseRevision(unary->revision);
  if (!revision.ok()) return call.Respond(std::move(response));

  deps_.revisions.Remember(SpaceInName(call.request.path()), *revision);
  response.headers.Set("Penstock-Revision", unary->revision);
  const bool is_broker = revision->service == BackendName(Backend::kEventBroker);
  if (!is_broker || !unary->ChangesRoute(deps_.routes)) return call.Respond(std::move(response));
  WaitForRoutes(deps_.routes, revision->number, options_.routes_wait_max, unary->call,
                [unary, response = std::move(response)](bool reached) mutable {
                  if (!reached) response.headers.Set("Penstock-Consistency", "pending");
                  unary->call->Respond(std::move(response));
                });
}

}  // namespace penstock::gateway
