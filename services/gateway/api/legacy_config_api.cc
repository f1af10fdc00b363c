#include "services/gateway/api/legacy_config_api.h"

#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <string_view>
#include <utility>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/http/url.h"
#include "libs/protojson/json_writer.h"
#include "libs/rpc/metadata.h"
#include "services/gateway/api/legacy_json.h"
#include "services/gateway/api/route_wait.h"

namespace penstock::gateway {
namespace {

namespace events = penstock::events::v1;
namespace functions = penstock::functions::v1;

constexpr char kParent[] = "spaces/default";
constexpr std::string_view kSpace = "default";
constexpr int kPageSize = 1000;
constexpr std::chrono::milliseconds kTimeout{30'000};
constexpr std::chrono::milliseconds kRoutesWaitMax{2'000};

constexpr std::string_view kManager = "/penstock.functions.v1.FunctionManagerService/";
constexpr std::string_view kCatalog = "/penstock.events.v1.EventCatalogService/";

http::Response ErrorResponse(int status, std::string_view message) {
  std::string out = "{\"error\":";
  protojson::AppendJsonString(message, &out);
  out += '}';
  return http::Response::Json(status, std::move(out));
}

std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

std::string FunctionNotFound(std::string_view id) {
  return fmt::format("Function \"{}\" not found.", id);
}

std::string ResourcePath(const char* collection, std::string_view id) {
  return fmt::format("{}/{}/{}", kParent, collection, id);
}

}  // namespace

void LegacyConfigApi::Handle(http::Request request, std::shared_ptr<http::Exchange> exchange,
                             std::shared_ptr<const void> keeper) const {
  const auto call = std::make_shared<HttpCall>(std::move(request), std::move(exchange), deps_.env,
                                               std::move(keeper));
  call->set_surface(Surface::kConfig);
  call->set_guard(deps_.guard);
  const http::Headers& headers = call->request.headers;
  const absl::Status allowed = deps_.guard.Check({.host = headers.Get("Host"),
                                                  .origin = headers.Get("Origin"),
                                                  .sec_fetch_site = headers.Get("Sec-Fetch-Site")});
  if (!allowed.ok()) return Fail(call, allowed, "");
  auto principal = deps_.authenticator.Check(headers);
  if (!principal.ok()) return Fail(call, principal.status(), "");
  call->principal = *std::move(principal);
  const std::string_view content_type = headers.Get("Content-Type");
  if (call->request.method == "POST" &&
      (content_type.empty() || !cloudevents::IsJsonContentType(content_type))) {
    return call->Respond(ErrorResponse(415, "Content-Type: expected application/json"));
  }
  Dispatch(call);
}

void LegacyConfigApi::Dispatch(const Call& call) const {
  constexpr std::string_view kFunctions = "/v1/functions";
  constexpr std::string_view kSubscriptions = "/v1/subscriptions";
  const std::string& method = call->request.method;
  std::string_view path = call->request.path();
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == kFunctions) {
    if (method == "POST") return CreateFunction(call);
    if (method == "GET") return ListFunctions(call);
    return call->Respond(ErrorResponse(405, "expected GET or POST"));
  }
  if (path == kSubscriptions) {
    if (method == "POST") return CreateSubscription(call);
    if (method == "GET") return ListSubscriptions(call);
    return call->Respond(ErrorResponse(405, "expected GET or POST"));
  }
  for (const std::string_view collection : {kFunctions, kSubscriptions}) {
    if (!path.starts_with(collection) || path.size() <= collection.size() + 1 ||
        path[collection.size()] != '/') {
      continue;
    }
    const std::string id(path.substr(collection.size() + 1));
    if (id.find('/') != std::string::npos) break;
    const bool is_function = collection == kFunctions;
    if (method == "GET" && is_function) return GetFunction(call, id);
    if (method != "DELETE") return call->Respond(ErrorResponse(405, "expected DELETE"));
    return is_function ? DeleteFunction(call, id) : DeleteSubscription(call, id);
  }
  call->Respond(ErrorResponse(404, "no such path: expected /v1/functions or /v1/subscriptions"));
}

// `not_found`, unless empty, is said in place of what the service says.
void LegacyConfigApi::Fail(const Call& call, const absl::Status& status,
                           const std::string& not_found) const {
  const bool is_missing =
      status.code() == absl::StatusCode::kNotFound || ReasonOf(status) == "FUNCTION_NOT_FOUND";
  if (is_missing && !not_found.empty()) return call->Respond(ErrorResponse(404, not_found));
  call->Respond(ErrorResponse(HttpStatusOf(status.code()), MessageOf(status)));
}

// `done` runs on the call's loop.
template <typename Response, typename Request>
void LegacyConfigApi::CallService(const Call& call, std::string_view service,
                                  std::string_view method, Request request,
                                  std::function<void(const absl::StatusOr<Response>&)> done) const {
  const Backend backend = *OwnerOf(service);
  auto options = deps_.call_options.For(*call, kSpace);
  if (!options.ok()) return Fail(call, options.status(), "");
  options->timeout = kTimeout;
  const auto response = std::make_shared<Response>();
  deps_.backends.Call(
      backend, std::string(service) + std::string(method),
      std::make_shared<const Request>(std::move(request)), response, *options,
      [this, call, response, done = std::move(done)](const absl::Status& status,
                                                     const rpc::ResponseMetadata& metadata) {
        if (const auto revision = ParseRevision(metadata.Trailing(rpc::kRevisionKey));
            revision.ok()) {
          deps_.revisions.Remember(kSpace, *revision);
        }
        call->RunOnLoop([response, status, done] {
          done(status.ok() ? absl::StatusOr<Response>(std::move(*response)) : status);
        });
      });
}

void LegacyConfigApi::CreateFunction(const Call& call) const {
  auto legacy = ReadLegacyFunction(call->request.body);
  if (!legacy.ok()) return Fail(call, legacy.status(), "");
  functions::CreateFunctionRequest request;
  request.set_parent(kParent);
  request.set_function_id(legacy->id);
  *request.mutable_function() = std::move(legacy->function);
  CallService<functions::Function>(
      call, kManager, "CreateFunction", std::move(request),
      [this, call, id = legacy->id](const absl::StatusOr<functions::Function>& function) {
        if (function.ok()) {
          std::string out;
          AppendLegacyFunction(*function, &out);
          return call->Respond(http::Response::Json(200, std::move(out)));
        }
        if (absl::IsAlreadyExists(function.status())) {
          return call->Respond(
              ErrorResponse(400, fmt::format("Function \"{}\" already registered.", id)));
        }
        Fail(call, function.status(), "");
      });
}

void LegacyConfigApi::GetFunction(const Call& call, const std::string& id) const {
  functions::GetFunctionRequest request;
  request.set_name(ResourcePath("functions", id));
  CallService<functions::Function>(
      call, kManager, "GetFunction", std::move(request),
      [this, call, id](const absl::StatusOr<functions::Function>& function) {
        if (!function.ok()) return Fail(call, function.status(), FunctionNotFound(id));
        std::string out;
        AppendLegacyFunction(*function, &out);
        call->Respond(http::Response::Json(200, std::move(out)));
      });
}

template <typename Request, typename Response>
void LegacyConfigApi::ListPage(const Call& call, std::string_view service, std::string_view method,
                               Request request, std::shared_ptr<std::string> out,
                               std::function<void(const Response&, std::string*)> append) const {
  request.set_parent(kParent);
  request.set_page_size(kPageSize);
  Request next = request;
  CallService<Response>(call, service, method, std::move(request),
                        [this, call, service, method, next, out,
                         append](const absl::StatusOr<Response>& page) mutable {
                          if (!page.ok()) return Fail(call, page.status(), "");
                          append(*page, out.get());
                          if (page->next_page_token().empty()) {
                            return call->Respond(http::Response::Json(200, *out + "]}"));
                          }
                          next.set_page_token(page->next_page_token());
                          ListPage<Request, Response>(call, service, method, next, out, append);
                        });
}

void LegacyConfigApi::ListFunctions(const Call& call) const {
  ListPage<functions::ListFunctionsRequest, functions::ListFunctionsResponse>(
      call, kManager, "ListFunctions", {}, std::make_shared<std::string>("{\"functions\":["),
      [](const functions::ListFunctionsResponse& page, std::string* out) {
        for (const functions::Function& function : page.functions()) {
          if (out->back() != '[') *out += ',';
          AppendLegacyFunction(function, out);
        }
      });
}

void LegacyConfigApi::DeleteFunction(const Call& call, const std::string& id) const {
  functions::DeleteFunctionRequest request;
  request.set_name(ResourcePath("functions", id));
  CallService<google::protobuf::Empty>(
      call, kManager, "DeleteFunction", std::move(request),
      [this, call, id](const absl::StatusOr<google::protobuf::Empty>& deleted) {
        if (!deleted.ok()) return Fail(call, deleted.status(), FunctionNotFound(id));
        call->Respond({.status = 204});
      });
}

void LegacyConfigApi::CreateSubscription(const Call& call) const {
  auto legacy = ReadLegacySubscription(call->request.body);
  if (!legacy.ok()) return Fail(call, legacy.status(), "");
  events::CreateSubscriptionRequest request;
  request.set_parent(kParent);
  request.set_subscription_id(SubscriptionResourceId(legacy->id));
  *request.mutable_subscription() = std::move(legacy->subscription);
  CallService<events::Subscription>(
      call, kCatalog, "CreateSubscription", std::move(request),
      [this, call, id = legacy->id,
       function = legacy->function](const absl::StatusOr<events::Subscription>& subscription) {
        if (absl::IsAlreadyExists(subscription.status())) {
          return call->Respond(
              ErrorResponse(400, fmt::format("Subscription \"{}\" already exists.", id)));
        }
        if (const auto violations = FieldViolationsOf(subscription.status());
            !violations.empty() && violations.front().field == "function") {
          return call->Respond(ErrorResponse(400, FunctionNotFound(function)));
        }
        if (!subscription.ok()) {
          return Fail(call, subscription.status(), FunctionNotFound(function));
        }
        std::string out;
        AppendLegacySubscription(*subscription, &out);
        http::Response response = http::Response::Json(200, std::move(out));
        if (!subscription->has_http()) return call->Respond(std::move(response));
        RespondWithRoutes(call, std::move(response));
      });
}

void LegacyConfigApi::ListSubscriptions(const Call& call) const {
  ListPage<events::ListSubscriptionsRequest, events::ListSubscriptionsResponse>(
      call, kCatalog, "ListSubscriptions", {},
      std::make_shared<std::string>("{\"subscriptions\":["),
      [](const events::ListSubscriptionsResponse& page, std::string* out) {
        for (const events::Subscription& subscription : page.subscriptions()) {
          if (out->back() != '[') *out += ',';
          AppendLegacySubscription(subscription, out);
        }
      });
}

void LegacyConfigApi::DeleteSubscription(const Call& call, const std::string& id) const {
  events::DeleteSubscriptionRequest request;
  request.set_name(ResourcePath("subscriptions", SubscriptionResourceId(id)));
  const bool has_route = deps_.routes.Has(request.name());
  CallService<google::protobuf::Empty>(
      call, kCatalog, "DeleteSubscription", std::move(request),
      [this, call, id, has_route](const absl::StatusOr<google::protobuf::Empty>& deleted) {
        if (!deleted.ok()) {
          return Fail(call, deleted.status(), fmt::format("Subscription \"{}\" not found.", id));
        }
        if (!has_route) return call->Respond({.status = 204});
        RespondWithRoutes(call, {.status = 204});
      });
}

void LegacyConfigApi::RespondWithRoutes(const Call& call, http::Response response) const {
  std::int64_t revision = 0;
  for (const std::string& known : deps_.revisions.For(kSpace, {})) {
    const auto parsed = ParseRevision(known);
    if (parsed.ok() && parsed->service == BackendName(Backend::kEventBroker)) {
      revision = parsed->number;
    }
  }
  WaitForRoutes(
      deps_.routes, revision, kRoutesWaitMax, call,
      [call, response = std::move(response)](bool) mutable { call->Respond(std::move(response)); });
}

}  // namespace penstock::gateway
