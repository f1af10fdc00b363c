#include "services/event-broker/app/app.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/base/worker_pool.h"
#include "libs/config/changes.h"
#include "libs/config/listen_address.h"
#include "libs/http/event_loops.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/lifecycle/instance_id.h"
#include "libs/log/log.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_host.h"
#include "libs/rpc/wire_client.h"
#include "services/event-broker/api/async_invocation_api.h"
#include "services/event-broker/api/event_broker_api.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/explain.h"
#include "services/event-broker/api/route_api.h"
#include "services/event-broker/app/broker_metrics.h"
#include "services/event-broker/app/log_alarms.h"
#include "services/event-broker/app/log_metrics.h"
#include "services/event-broker/app/reconciler.h"
#include "services/event-broker/app/retention.h"
#include "services/event-broker/app/subscription_metrics.h"
#include "services/event-broker/delivery/delivery_runner.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/invoker/stream_invoker.h"
#include "services/event-broker/pull/pull_hub.h"
#include "services/event-broker/pull/pull_metrics.h"
#include "services/event-broker/references/grpc_function_references.h"
#include "services/event-broker/schedule/scheduler.h"
#include "services/event-broker/state/sqlite_state_store.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {
namespace {

constexpr std::chrono::milliseconds kConnectionAgeMax = std::chrono::minutes(5);

DeliveryOptions MakeDeliveryOptions(const Config& config, const Clock& clock) {
  DeliveryOptions options;
  // Brokers that start together must not retry together.
  options.engine.seed = static_cast<std::uint64_t>(ToUnixMicros(clock.Wall()));
  options.engine.dead_letters_max = config.dead_letters_max;
  options.engine.dead_letter_bytes_max = config.dead_letter_bytes_max;
  options.engine.breaker = config.breaker;
  return options;
}

RetentionLimits MakeRetentionLimits(const Config& config) {
  RetentionLimits limits;
  if (config.retention_age.count() > 0) limits.age = config.retention_age;
  if (config.retention_bytes > 0) limits.bytes = config.retention_bytes;
  limits.pin_age_max = config.pin_age_max;
  limits.pin_bytes_max = config.pin_bytes_max;
  limits.on_pin_limit = config.on_pin_limit;
  return limits;
}

SegmentLogOptions MakeLogOptions(const Config& config, Sequence floor) {
  SegmentLogOptions options;
  options.folder = (std::filesystem::path(config.data_dir) / "log").string();
  options.segment_bytes = config.segment_bytes;
  options.dedup_window = config.dedup_window;
  options.dedup_entries_max = config.dedup_entries_max;
  options.retention = MakeRetentionLimits(config);
  options.scrub_interval = config.scrub_interval;
  options.sequence_floor = floor;
  options.on_note = [](const std::string& sentence) {
    log::Warn("event log", {{"note", sentence}});
  };
  return options;
}

// Event streams are few and carry many events each, but one loop for all of them falls behind when
// other programs want the cores too.
constexpr int kLoopsMax = 4;

int LoopThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kLoopsMax);
}

}  // namespace

// Everything that Start makes, in the order in which it is made: destroyed in reverse.
struct App::Parts {
  std::optional<lifecycle::DataFolderLock> lock;
  std::shared_ptr<const rpc::PeerAuth> auth;
  std::unique_ptr<SqliteStateStore> store;
  SavedDeliveryState saved;
  std::unique_ptr<SegmentLog> log;
  std::unique_ptr<GrpcFunctionReferences> references;
  std::unique_ptr<WorkerPool> catalog_reads;
  std::unique_ptr<SubscriptionCatalog> catalog;
  // Of the streams of events, to and from this service.
  http::EventLoops loops{{.threads = LoopThreads(), .name = "stream"}};
  rpc::WireClients wire{loops};
  std::unique_ptr<StreamInvoker> invoker;
  std::unique_ptr<PullHub> pull;
  std::unique_ptr<DeliveryRunner> delivery;
  std::unique_ptr<LogKeeper> keeper;
  std::vector<metrics::Registration> metrics;
  std::vector<metrics::Registration> log_metrics;
  std::unique_ptr<WorkerPool> readers;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<Explainer> explainer;
  std::unique_ptr<EventBrokerApi> broker_api;
  std::unique_ptr<EventCatalogApi> catalog_api;
  std::unique_ptr<RouteApi> route_api;
  std::unique_ptr<AsyncInvocationApi> async_api;
  rpc::DirectMethods direct;
  std::unique_ptr<rpc::ServerHost> host;
  std::unique_ptr<Reconciler> reconciler;
  std::unique_ptr<SubscriptionMetrics> subscription_metrics;
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
  parts_ = std::make_unique<Parts>();
  ASSIGN_OR_RETURN(parts_->lock,
                   lifecycle::DataFolderLock::Acquire(config_.data_dir, "penstock-event-broker"));
  ASSIGN_OR_RETURN(parts_->auth, rpc::PeerAuth::Load(config_.peer_token_file));
  const std::string state_path = (std::filesystem::path(config_.data_dir) / "state.db").string();
  ASSIGN_OR_RETURN(parts_->store,
                   SqliteStateStore::Open(state_path, {config_.dedup_window, &shared_.clock}));
  ASSIGN_OR_RETURN(parts_->saved, parts_->store->LoadDeliveryState());
  ASSIGN_OR_RETURN(parts_->log,
                   SegmentLog::Open(MakeLogOptions(config_, parts_->saved.matched_through),
                                    PosixFiles(), shared_.clock));
  RETURN_IF_ERROR(StartDelivery());
  RETURN_IF_ERROR(Serve());
  shared_.readiness.Register(kServiceName, [log = parts_->log.get()]() -> absl::Status {
    const LogHealth health = log->Health();
    return health.status;
  });
  shared_.readiness.RegisterNote(kServiceName,
                                 [log = parts_->log.get()] { return LogNote(log->Health()); });
  log::Info("event-broker serves", {{"address", parts_->host->address()},
                                    {"data_dir", config_.data_dir},
                                    {"head_sequence", parts_->log->head()}});
  return absl::OkStatus();
}

absl::StatusOr<StreamInvokerOptions> App::MakeInvokerOptions() const {
  StreamInvokerOptions options;
  options.address = config_.function_executor_address;
  options.auth = parts_->auth;
  options.wire = &parts_->wire;
  ASSIGN_OR_RETURN(options.broker, lifecycle::LoadInstanceId(config_.data_dir));
  return options;
}

absl::Status App::StartDelivery() {
  Parts& parts = *parts_;
  parts.references =
      std::make_unique<GrpcFunctionReferences>(config_.function_manager_address, parts.auth);
  parts.catalog_reads = std::make_unique<WorkerPool>(
      WorkerPool::Options{.name = "catalog-reader", .threads = 1, .queue_max = 256});
  parts.catalog = std::make_unique<SubscriptionCatalog>(
      *parts.log, *parts.store, *parts.references, shared_.clock,
      [pool = parts.catalog_reads.get()](std::function<void()> work) {
        return pool->TryPost(std::move(work));
      });
  ASSIGN_OR_RETURN(auto revisions, parts.store->LoadRevisions());
  parts.catalog->Load(std::move(revisions));
  ASSIGN_OR_RETURN(auto replays, parts.store->LoadReplays());
  ASSIGN_OR_RETURN(StreamInvokerOptions invoking, MakeInvokerOptions());
  parts.invoker = std::make_unique<StreamInvoker>(std::move(invoking));
  SubscriptionCatalog& catalog = *parts.catalog;
  parts.pull = std::make_unique<PullHub>(
      PullHub::Subscriptions{[&catalog](const std::string& space, const std::string& id) {
                               return catalog.Get(space, id);
                             },
                             [&catalog](const std::string& uid) { return catalog.FindByUid(uid); }},
      shared_.clock);
  const auto on_drained = [&catalog](const std::string& uid, Sequence drain_to) {
    catalog.Drained(uid, drain_to);
  };
  parts.delivery = std::make_unique<DeliveryRunner>(
      DeliveryPorts{*parts.log, *parts.store, *parts.invoker, parts.pull.get(), catalog,
                    shared_.clock, on_drained},
      MakeDeliveryOptions(config_, shared_.clock));
  catalog.Connect(*parts.delivery);
  parts.delivery->Start(
      {std::move(parts.saved), catalog.Revisions(), catalog.All(), std::move(replays)});
  catalog.CompletePending();
  parts.keeper = std::make_unique<LogKeeper>(
      *parts.log, LogKeeperOptions{.scrub_bytes_per_tick = config_.scrub_bytes_per_second},
      [&catalog] { catalog.Maintain(); });
  parts.metrics = RegisterBrokerMetrics(shared_.metrics, *parts.log, *parts.delivery);
  for (auto& metric : RegisterPullMetrics(shared_.metrics, *parts.pull)) {
    parts.metrics.push_back(std::move(metric));
  }
  parts.log_metrics = RegisterLogMetrics(shared_.metrics, *parts.log);
  return absl::OkStatus();
}

absl::Status App::Serve() {
  Parts& parts = *parts_;
  const PublishRules rules{{config_.spaces_allowed.begin(), config_.spaces_allowed.end()},
                           config_.event_data_bytes_max,
                           config_.dedup_window};
  parts.readers = std::make_unique<WorkerPool>(
      WorkerPool::Options{.name = "log-reader", .threads = 2, .queue_max = 1024});
  parts.explainer = std::make_unique<Explainer>(
      Explainer::Ports{*parts.log, *parts.catalog, *parts.delivery, *parts.store}, rules);
  parts.scheduler =
      std::make_unique<Scheduler>(*parts.store, *parts.log, shared_.clock, shared_.metrics);
  parts.scheduler->Start();
  parts.broker_api = std::make_unique<EventBrokerApi>(
      EventBrokerApi::Ports{*parts.log, *parts.scheduler, *parts.pull, *parts.readers,
                            *parts.explainer, shared_.clock},
      rules);
  parts.catalog_api = std::make_unique<EventCatalogApi>(
      EventCatalogApi::Ports{
          *parts.catalog, *parts.store, *parts.delivery, *parts.log, *parts.readers, shared_.clock,
          [pull = parts.pull.get()](const std::string& uid) {
            const PullHub::Demand demand = pull->DemandFor(uid);
            return EventCatalogApi::Consumers{static_cast<int>(demand.consumers),
                                              static_cast<std::int64_t>(demand.credit)};
          }},
      rules, parts.auth);
  parts.route_api = std::make_unique<RouteApi>(*parts.catalog, parts.auth);
  parts.async_api = std::make_unique<AsyncInvocationApi>(
      AsyncInvocationApi::Ports{*parts.catalog, *parts.log, *parts.delivery, *parts.store}, rules,
      parts.auth);
  rpc::ServerOptions options;
  options.name = kServiceName;
  if (config_.HasListener()) {
    ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
    options.address = listen.ToString();
  }
  options.connection_age_max = kConnectionAgeMax;
  options.services = {parts.broker_api.get(), parts.catalog_api.get(), parts.route_api.get(),
                      parts.async_api.get()};
  parts.broker_api->AddDirect(parts.direct);
  options.direct = &parts.direct;
  options.loops = &parts.loops;
  ASSIGN_OR_RETURN(parts.host, rpc::ServerHost::Start(std::move(options)));
  parts.host->SetServing(true);
  parts.reconciler = std::make_unique<Reconciler>(*parts.catalog, *parts.references);
  parts.subscription_metrics = std::make_unique<SubscriptionMetrics>(
      shared_.metrics, SubscriptionMetrics::Ports{*parts.catalog, *parts.delivery, *parts.store,
                                                  *parts.log, shared_.clock});
  parts.subscription_metrics->Start();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> App::Reload(const Config& config) {
  if (parts_ == nullptr) return absl::FailedPreconditionError("the event-broker does not serve");
  ASSIGN_OR_RETURN(Config next, config::WithReloadableOf(config_, config));
  RETURN_IF_ERROR(next.Validate());
  parts_->log->SetRetention(MakeRetentionLimits(next));
  config_ = std::move(next);
  return std::vector<std::string>();
}

absl::Status App::Stop(std::chrono::milliseconds deadline) {
  if (parts_ == nullptr) return absl::OkStatus();
  shared_.readiness.RegisterNote(kServiceName, [] { return std::string(); });
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
  Parts& parts = *parts_;
  parts.subscription_metrics.reset();
  parts.reconciler.reset();
  if (parts.host) parts.host->SetServing(false);
  // Ends the consumers' streams, and gives delivery back what is out with consumers: both would
  // make the rest wait.
  if (parts.pull) parts.pull->Stop();
  if (parts.host) {
    parts.host->Stop(std::min<std::chrono::milliseconds>(deadline / 4, std::chrono::seconds(2)));
  }
  if (parts.scheduler) parts.scheduler->Stop();
  if (parts.readers) parts.readers->Stop();
  if (parts.delivery) parts.delivery->Stop(deadline / 2);
  if (parts.invoker) parts.invoker->Stop();
  parts.wire.Stop();
  parts.loops.Stop();
  parts.keeper.reset();
  // Answers to its calls go on in the catalog, the log and the store.
  if (parts.catalog_reads) parts.catalog_reads->Stop();
  if (parts.references) parts.references->Stop();
  if (parts.log) parts.log->Stop();
  if (parts.store) parts.store->Stop();
  parts.metrics.clear();
  parts.log_metrics.clear();
  parts_.reset();
  log::Info("event-broker stopped");
  return absl::OkStatus();
}

int App::port() const {
  return parts_ == nullptr || parts_->host == nullptr ? 0 : parts_->host->port();
}

}  // namespace penstock::broker
