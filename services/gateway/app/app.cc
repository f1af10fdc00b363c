#include "services/gateway/app/app.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "libs/base/status.h"
#include "libs/cloudevents/json_format.h"
#include "libs/h2/server.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "libs/log/log.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/api/api_reference.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/front_door.h"
#include "services/gateway/api/grpc_proxy.h"
#include "services/gateway/api/grpc_targets.h"
#include "services/gateway/api/legacy_config_api.h"
#include "services/gateway/api/reverse_proxy.h"
#include "services/gateway/api/web_rpc.h"
#include "services/gateway/broker/route_watcher.h"
#include "services/gateway/broker/stream_publisher.h"

namespace penstock::gateway {
namespace {

constexpr std::chrono::milliseconds kConnectionAgeMax = std::chrono::minutes(5);

http::EventLoopsOptions LoopsOf(const Config& config) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return {.threads = config.http_threads > 0 ? config.http_threads : cores, .name = "http"};
}

BackendAddresses AddressesOf(const Config& config) {
  return {config.event_broker_address, config.function_manager_address,
          config.function_executor_address};
}

EventInputLimits InputLimitsOf(const Config& config) {
  EventInputLimits limits;
  limits.data_bytes_max = config.http_limits.body_bytes_max;
  return limits;
}

}  // namespace

// Everything that Start makes, in the order in which it is made: destroyed in reverse.
struct App::Parts {
  Parts(const Config& config, const Shared& shared, std::shared_ptr<const rpc::PeerAuth> peer,
        Authenticator keys)
      : loops(LoopsOf(config)),
        authenticator(std::move(keys)),
        backends(AddressesOf(config)),
        guard(config.http_hosts, config.cors_origins),
        http_metrics(shared.metrics),
        env{loops, shared.clock, http_metrics, tracker, guard},
        publisher(loops, backends.channel(Backend::kEventBroker), shared.clock, shared.metrics,
                  {.timeout = config.publish_timeout, .limits = {}}),
        watcher(backends.channel(Backend::kEventBroker), peer, routes, loops),
        call_options(revisions, peer),
        functions(backends, call_options, config.invoke_timeout),
        http_events(routes, publisher, functions),
        publish(publisher, InputLimitsOf(config)),
        legacy({env, backends, call_options, guard, authenticator, revisions, routes}),
        routes_gauge(shared.metrics.GaugeCallback(
            "penstock_gateway_routes", "Routes of synchronous subscriptions.",
            [this] { return static_cast<double>(routes.size()); })),
        watching_gauge(shared.metrics.GaugeCallback(
            "penstock_gateway_routes_watched", "1 while the event-broker tells changes of routes.",
            [this] { return watcher.connected() ? 1.0 : 0.0; })),
        lag_gauge(shared.metrics.GaugeCallback(
            "penstock_gateway_loop_lag_seconds",
            "The longest that a request waited for its event loop since the last scrape.",
            [this] { return static_cast<double>(loops.MaxLag().count()) / 1e6; })) {}

  http::EventLoops loops;
  const Authenticator authenticator;
  Backends backends;
  const WebGuard guard;
  RouteBook routes;
  RevisionMemory revisions;
  HttpMetrics http_metrics;
  CallTracker tracker;
  const CallEnv env;
  StreamPublisher publisher;
  RouteWatcher watcher;
  const CallOptionsMaker call_options;
  const FunctionCalls functions;
  const HttpEvents http_events;
  PublishApi publish;
  std::unique_ptr<ReverseProxy> reverse_proxy;
  // Null when the gateway transcodes itself.
  std::unique_ptr<TranscodingProxy> transcoding_proxy;
  std::unique_ptr<TranscodedApi> api;
  std::unique_ptr<UserServices> services;
  std::unique_ptr<GrpcTargets> grpc_targets;
  std::unique_ptr<WebRpc> web_rpc;
  std::unique_ptr<FrontDoor> front_door;
  const ApiReference reference;
  const LegacyConfigApi legacy;
  std::unique_ptr<GrpcProxy> grpc_proxy;
  metrics::Registration routes_gauge;
  metrics::Registration watching_gauge;
  metrics::Registration lag_gauge;
  std::unique_ptr<http::Server> http;
  std::unique_ptr<http::Server> legacy_http;
  std::unique_ptr<h2::Server> grpc;
};

absl::StatusOr<std::unique_ptr<App>> App::Create(Config config, Shared shared) {
  RETURN_IF_ERROR(config.Validate());
  return std::unique_ptr<App>(new App(std::move(config), shared));
}

App::App(Config config, Shared shared) : config_(std::move(config)), shared_(shared) {
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
}

App::~App() {
  Stop(std::chrono::seconds(2)).IgnoreError();
  shared_.readiness.Unregister(kServiceName);
}

absl::Status App::Start() {
  cloudevents::RegisterJsonForm();
  ASSIGN_OR_RETURN(auto peer_auth, rpc::PeerAuth::Load(config_.peer_token_file));
  Authenticator authenticator;
  if (config_.auth == AuthKind::kApiKeys) {
    ASSIGN_OR_RETURN(authenticator, Authenticator::LoadKeys(config_.auth_keys_file));
  }
  parts_ = std::make_unique<Parts>(config_, shared_, peer_auth, std::move(authenticator));
  if (config_.HasTranscodingProxy()) {
    ASSIGN_OR_RETURN(parts_->transcoding_proxy,
                     TranscodingProxy::Create(parts_->loops, config_.transcoding_by));
  }
  ASSIGN_OR_RETURN(
      parts_->api,
      TranscodedApi::Create(
          {parts_->backends, parts_->call_options, parts_->functions, parts_->guard,
           parts_->revisions, parts_->routes, parts_->transcoding_proxy.get()},
          {.timeout = config_.api_timeout,
           .headers = {.request = config_.request_headers, .answer = config_.answer_headers}}));
  ASSIGN_OR_RETURN(parts_->services, UserServices::Create(config_.services, parts_->api->table(),
                                                          {.request = config_.request_headers,
                                                           .answer = config_.answer_headers},
                                                          shared_.metrics));
  ASSIGN_OR_RETURN(parts_->reverse_proxy,
                   ReverseProxy::Create(config_.proxy, {parts_->loops, shared_.clock,
                                                        shared_.metrics, parts_->guard}));
  ASSIGN_OR_RETURN(parts_->grpc_targets,
                   GrpcTargets::Create(parts_->loops, AddressesOf(config_), config_.grpc));
  parts_->web_rpc = std::make_unique<WebRpc>(WebRpc::Deps{
      *parts_->grpc_targets, *parts_->services, parts_->authenticator, parts_->guard, peer_auth});
  parts_->services->Start();
  parts_->front_door = std::make_unique<FrontDoor>(
      FrontDoorSurfaces{parts_->publish, *parts_->api, parts_->functions, parts_->http_events,
                        *parts_->services, parts_->authenticator, *parts_->reverse_proxy,
                        parts_->reference, *parts_->web_rpc},
      parts_->env);
  parts_->watcher.Start();
  parts_->reverse_proxy->Start();
  RETURN_IF_ERROR(StartHttp());
  RETURN_IF_ERROR(StartLegacy());
  RETURN_IF_ERROR(StartGrpc(std::move(peer_auth)));
  shared_.readiness.Register(kServiceName, [] { return absl::OkStatus(); });
  log::Info("gateway serves", {{"http_port", http_port()},
                               {"config_port", config_port()},
                               {"grpc_port", grpc_port()},
                               {"event_broker", config_.event_broker_address},
                               {"function_manager", config_.function_manager_address},
                               {"function_executor", config_.function_executor_address}});
  return absl::OkStatus();
}

absl::Status App::StartHttp() {
  http::ServerOptions options;
  options.bind_address = config_.http_listen.address;
  options.port = config_.http_listen.port;
  options.limits = config_.http_limits;
  options.timeouts = config_.http_timeouts;
  options.body_bytes_max_of = [door = parts_->front_door.get()](const http::Request& head) {
    return door->BodyLimit(head);
  };
  if (parts_->reverse_proxy->has_routes()) {
    options.stream_handler_of = [door = parts_->front_door.get()](const http::Request& head) {
      return door->StreamHandlerOf(head);
    };
  }
  options.error_response = [](int status, const absl::Status& error) {
    return ErrorAnswer(status, error);
  };
  ASSIGN_OR_RETURN(
      parts_->http,
      http::Server::Start(parts_->loops, std::move(options),
                          [door = parts_->front_door.get()](
                              http::Request request, std::shared_ptr<http::Exchange> exchange) {
                            door->Handle(std::move(request), std::move(exchange));
                          }));
  return absl::OkStatus();
}

absl::Status App::StartLegacy() {
  if (config_.config_listen.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.config_listen));
  http::ServerOptions options;
  options.bind_address = listen.address;
  options.port = listen.port;
  options.limits = config_.http_limits;
  options.timeouts = config_.http_timeouts;
  ASSIGN_OR_RETURN(
      parts_->legacy_http,
      http::Server::Start(
          parts_->loops, std::move(options),
          [api = &parts_->legacy](http::Request request, std::shared_ptr<http::Exchange> exchange) {
            api->Handle(std::move(request), std::move(exchange));
          }));
  return absl::OkStatus();
}

absl::Status App::StartGrpc(std::shared_ptr<const rpc::PeerAuth> peer_auth) {
  if (!config_.HasGrpcListener()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
  parts_->grpc_proxy =
      std::make_unique<GrpcProxy>(parts_->loops, *parts_->grpc_targets, parts_->authenticator,
                                  std::move(peer_auth), shared_.metrics);
  h2::ServerOptions options;
  options.bind_address = listen.address;
  options.port = listen.port;
  options.connections_max = config_.http_limits.connections_max;
  options.age_max = kConnectionAgeMax;
  ASSIGN_OR_RETURN(parts_->grpc,
                   h2::Server::Start(parts_->loops, std::move(options),
                                     [proxy = parts_->grpc_proxy.get()](h2::Stream& stream,
                                                                        h2::Fields head, bool end) {
                                       proxy->Handle(stream, std::move(head), end);
                                     }));
  return absl::OkStatus();
}

absl::Status App::Stop(std::chrono::milliseconds deadline) {
  if (parts_ == nullptr) return absl::OkStatus();
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
  if (parts_->grpc_proxy != nullptr) parts_->grpc_proxy->Drain();
  parts_->tracker.draining()->Cancel();
  bool drained = true;
  if (parts_->legacy_http != nullptr) parts_->legacy_http->StopAccepting();
  if (parts_->http != nullptr) drained = parts_->http->Drain(deadline / 2);
  if (parts_->grpc != nullptr) {
    parts_->grpc->Drain(deadline / 4);
    parts_->grpc->Stop();
  }
  if (parts_->grpc_targets != nullptr) parts_->grpc_targets->Stop();
  if (parts_->services != nullptr) parts_->services->Stop();
  parts_->watcher.Stop();
  parts_->publisher.Stop();
  for (const auto& server : {&parts_->http, &parts_->legacy_http}) {
    if (*server != nullptr) (*server)->Stop();
  }
  parts_->tracker.CancelAndWait();
  if (parts_->reverse_proxy != nullptr) parts_->reverse_proxy->Stop();
  if (parts_->transcoding_proxy != nullptr) parts_->transcoding_proxy->Stop();
  parts_->loops.Stop();
  parts_.reset();
  log::Info("gateway stopped", {{"drained", drained}});
  if (drained) return absl::OkStatus();
  return absl::DeadlineExceededError("requests were still being answered");
}

std::uint16_t App::http_port() const {
  return parts_ == nullptr || parts_->http == nullptr ? 0 : parts_->http->port();
}

std::uint16_t App::config_port() const {
  return parts_ == nullptr || parts_->legacy_http == nullptr ? 0 : parts_->legacy_http->port();
}

std::uint16_t App::grpc_port() const {
  return parts_ == nullptr || parts_->grpc == nullptr ? 0 : parts_->grpc->port();
}

}  // namespace penstock::gateway
