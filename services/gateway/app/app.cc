#include "services/gateway/app/app.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "libs/base/status.h"
#include "libs/base/worker_pool.h"
#include "libs/cloudevents/json_format.h"
#include "libs/config/changes.h"
#include "libs/h2/server.h"
#include "libs/http/event_loops.h"
#include "libs/http/per_loop.h"
#include "libs/http/server.h"
#include "libs/log/log.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/wire_client.h"
#include "services/gateway/api/api_reference.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/grpc_proxy.h"
#include "services/gateway/app/generation.h"
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

}  // namespace

// Everything that Start makes, in the order in which it is made: destroyed in reverse.
struct App::Parts {
  Parts(const Config& config, const Shared& shared, std::shared_ptr<const rpc::PeerAuth> peer)
      : loops(LoopsOf(config)),
        backends(loops, AddressesOf(config)),
        http_metrics(shared.metrics),
        env{loops, shared.clock, http_metrics, tracker},
        wire(loops),
        publish_channel(config.event_broker_address, {.wire = &wire}),
        publisher(loops, publish_channel, shared.clock, shared.metrics,
                  {.timeout = config.publish_timeout, .limits = {}}),
        watcher(backends.channel(Backend::kEventBroker), peer, routes, loops),
        call_options(revisions, peer),
        base{env,       backends,  call_options,   revisions, routes,
             publisher, reference, shared.metrics, peer},
        graveyard({.name = "http-retired", .threads = 1}),
        now(loops, nullptr),
        grpc_rules(loops, nullptr),
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

  // Gives all loops `next`, which has been started, and ends the work of the one before.
  void Adopt(std::unique_ptr<Generation> next);
  // The last requests are over.
  void LetGo();

  http::EventLoops loops;
  Backends backends;
  RouteBook routes;
  RevisionMemory revisions;
  HttpMetrics http_metrics;
  CallTracker tracker;
  const CallEnv env;
  rpc::WireClients wire;
  rpc::LazyChannel publish_channel;
  StreamPublisher publisher;
  RouteWatcher watcher;
  const CallOptionsMaker call_options;
  const ApiReference reference;
  const Generation::Base base;
  // Where generations end: their last request may be over on a loop, which must not wait for
  // connections of other loops to close.
  WorkerPool graveyard;
  std::shared_ptr<Generation> generation;
  // As requests see it.
  http::PerLoop<Generation> now;
  http::PerLoop<GrpcRules> grpc_rules;
  std::unique_ptr<GrpcProxy> grpc_proxy;
  metrics::Registration routes_gauge;
  metrics::Registration watching_gauge;
  metrics::Registration lag_gauge;
  std::unique_ptr<http::Server> http;
  std::optional<metrics::Registration> connections_gauge;  // Of `http`.
  std::unique_ptr<http::Server> legacy_http;
  std::unique_ptr<h2::Server> grpc;
};

void App::Parts::Adopt(std::unique_ptr<Generation> next) {
  std::shared_ptr<Generation> adopted(next.release(), [this](Generation* retired) {
    if (!graveyard.TryPost([retired] { delete retired; })) delete retired;
  });
  const std::shared_ptr<Generation> before = std::exchange(generation, adopted);
  now.Exchange(adopted);
  if (adopted->grpc() != nullptr) grpc_rules.Exchange({adopted, adopted->grpc()});
  if (before != nullptr) before->Retire(*adopted);
}

void App::Parts::LetGo() {
  grpc_rules.Exchange(nullptr);
  now.Exchange(nullptr);
  generation.reset();
  graveyard.Stop();
}

absl::StatusOr<std::unique_ptr<App>> App::Create(Config config, Shared shared) {
  RETURN_IF_ERROR(config.Validate());
  return std::unique_ptr<App>(new App(std::move(config), shared));
}

App::App(Config config, Shared shared) : shared_(shared), config_(std::move(config)) {
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
}

App::~App() {
  Stop(std::chrono::seconds(2)).IgnoreError();
  shared_.readiness.Unregister(kServiceName);
}

absl::Status App::Start() {
  cloudevents::RegisterJsonForm();
  ASSIGN_OR_RETURN(auto peer_auth, rpc::PeerAuth::Load(config_.peer_token_file));
  parts_ = std::make_unique<Parts>(config_, shared_, peer_auth);
  ASSIGN_OR_RETURN(auto first, Generation::Create(config_, parts_->base, nullptr));
  first->Start();
  parts_->Adopt(std::move(first));
  parts_->watcher.Start();
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
  options.tls = config_.http_tls;
  const auto& now = parts_->now;
  options.body_bytes_max_of = [&now](const http::Request& head) {
    return now.Get()->front_door().BodyLimit(head);
  };
  options.stream_handler_of = [&now](const http::Request& head) -> http::StreamHandler {
    const ReverseProxy::Route* route = now.Get()->front_door().RouteOf(head);
    if (route == nullptr) return nullptr;
    // Nothing runs on this loop in between: the route is one of the present generation.
    return [&now, route](http::Request request, std::shared_ptr<http::StreamExchange> exchange) {
      const auto& generation = now.Get();
      generation->front_door().Proxy(std::move(request), std::move(exchange), *route, generation);
    };
  };
  options.error_response = [](int status, const absl::Status& error) {
    return ErrorAnswer(status, error);
  };
  ASSIGN_OR_RETURN(
      parts_->http,
      http::Server::Start(parts_->loops, std::move(options),
                          [&now](http::Request request, std::shared_ptr<http::Exchange> exchange) {
                            const auto& generation = now.Get(exchange->loop());
                            generation->front_door().Handle(std::move(request), std::move(exchange),
                                                            generation);
                          }));
  parts_->connections_gauge.emplace(shared_.metrics.GaugeCallback(
      "penstock_gateway_http_connections", "Open connections of the HTTP port.",
      [&server = *parts_->http] { return static_cast<double>(server.Stats().connections_open); }));
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
          [&now = parts_->now](http::Request request, std::shared_ptr<http::Exchange> exchange) {
            const auto& generation = now.Get(exchange->loop());
            generation->legacy().Handle(std::move(request), std::move(exchange), generation);
          }));
  return absl::OkStatus();
}

absl::Status App::StartGrpc(std::shared_ptr<const rpc::PeerAuth> peer_auth) {
  if (!config_.HasGrpcListener()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
  parts_->grpc_proxy = std::make_unique<GrpcProxy>(parts_->loops, parts_->grpc_rules,
                                                   std::move(peer_auth), shared_.metrics);
  h2::ServerOptions options;
  options.bind_address = listen.address;
  options.port = listen.port;
  options.connections_max = config_.http_limits.connections_max;
  options.age_max = kConnectionAgeMax;
  options.tls = config_.grpc_tls;
  ASSIGN_OR_RETURN(parts_->grpc,
                   h2::Server::Start(parts_->loops, std::move(options),
                                     [proxy = parts_->grpc_proxy.get()](h2::Stream& stream,
                                                                        h2::Fields head, bool end) {
                                       proxy->Handle(stream, std::move(head), end);
                                     }));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> App::Reload(const Config& config) {
  if (parts_ == nullptr || parts_->http == nullptr) {
    return absl::FailedPreconditionError("the gateway does not serve");
  }
  ASSIGN_OR_RETURN(Config next, config::WithReloadableOf(config_, config));
  RETURN_IF_ERROR(next.Validate());
  ASSIGN_OR_RETURN(auto made, Generation::Create(next, parts_->base, parts_->generation.get()));
  ASSIGN_OR_RETURN(
      const auto update_http,
      parts_->http->PrepareUpdate(next.http_limits, next.http_timeouts, next.http_tls));
  std::function<void()> update_legacy = [] {};
  if (parts_->legacy_http != nullptr) {
    ASSIGN_OR_RETURN(update_legacy,
                     parts_->legacy_http->PrepareUpdate(next.http_limits, next.http_timeouts, {}));
  }
  std::function<void()> update_grpc = [] {};
  if (parts_->grpc != nullptr) {
    ASSIGN_OR_RETURN(update_grpc, parts_->grpc->PrepareTls(next.grpc_tls));
  }
  // From here on nothing fails.
  std::vector<std::string> renewed = made->RenewedFiles(*parts_->generation);
  made->Start();
  parts_->Adopt(std::move(made));
  update_http();
  update_legacy();
  update_grpc();
  if (parts_->grpc != nullptr) parts_->grpc->SetConnectionsMax(next.http_limits.connections_max);
  parts_->publisher.SetTimeout(next.publish_timeout);
  config_ = std::move(next);
  return renewed;
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
  if (parts_->generation != nullptr) parts_->generation->Stop();
  parts_->watcher.Stop();
  parts_->publisher.Stop();
  parts_->wire.Stop();
  for (const auto& server : {&parts_->http, &parts_->legacy_http}) {
    if (*server != nullptr) (*server)->Stop();
  }
  parts_->tracker.CancelAndWait();
  parts_->LetGo();
  parts_->backends.Stop();
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
