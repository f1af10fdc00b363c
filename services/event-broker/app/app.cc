#include "services/event-broker/app/app.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/base/worker_pool.h"
#include "libs/config/listen_address.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/log/log.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_host.h"
#include "services/event-broker/api/event_broker_api.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/route_api.h"
#include "services/event-broker/app/broker_metrics.h"
#include "services/event-broker/app/reconciler.h"
#include "services/event-broker/app/retention.h"
#include "services/event-broker/delivery/delivery_runner.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/invoker/stream_invoker.h"
#include "services/event-broker/references/grpc_function_references.h"
#include "services/event-broker/state/sqlite_state_store.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {
namespace {

constexpr std::chrono::milliseconds kConnectionAgeMax = std::chrono::minutes(5);

EngineOptions MakeEngineOptions(const Clock& clock) {
  EngineOptions options;
  // Brokers that start together must not retry together.
  options.seed = static_cast<std::uint64_t>(ToUnixMicros(clock.Wall()));
  return options;
}

SegmentLogOptions MakeLogOptions(const Config& config, Sequence floor) {
  SegmentLogOptions options;
  options.folder = (std::filesystem::path(config.data_dir) / "log").string();
  options.segment_bytes = config.segment_bytes;
  options.dedup_window = config.dedup_window;
  options.dedup_entries_max = config.dedup_entries_max;
  if (config.retention_age.count() > 0) options.retention_age = config.retention_age;
  if (config.retention_bytes > 0) options.retention_bytes = config.retention_bytes;
  options.sequence_floor = floor;
  options.on_note = [](const std::string& sentence) {
    log::Warn("event log", {{"note", sentence}});
  };
  return options;
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
  std::unique_ptr<SubscriptionCatalog> catalog;
  std::unique_ptr<StreamInvoker> invoker;
  std::unique_ptr<DeliveryRunner> delivery;
  std::unique_ptr<LogKeeper> keeper;
  std::vector<metrics::Registration> metrics;
  std::unique_ptr<WorkerPool> readers;
  std::unique_ptr<EventBrokerApi> broker_api;
  std::unique_ptr<EventCatalogApi> catalog_api;
  std::unique_ptr<RouteApi> route_api;
  std::unique_ptr<rpc::ServerHost> host;
  std::unique_ptr<Reconciler> reconciler;
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
  ASSIGN_OR_RETURN(parts_->store, SqliteStateStore::Open(state_path));
  ASSIGN_OR_RETURN(parts_->saved, parts_->store->LoadDeliveryState());
  ASSIGN_OR_RETURN(parts_->log,
                   SegmentLog::Open(MakeLogOptions(config_, parts_->saved.matched_through),
                                    PosixFiles(), shared_.clock));
  RETURN_IF_ERROR(StartDelivery());
  RETURN_IF_ERROR(Serve());
  shared_.readiness.Register(kServiceName, [log = parts_->log.get()]() -> absl::Status {
    const LogHealth health = log->Health();
    if (!health.writable) return health.status;
    if (health.lost.empty()) return absl::OkStatus();
    return absl::DataLossError(
        "parts of the log cannot be read: see penstock_broker_log_damaged_ranges");
  });
  log::Info("event-broker serves", {{"address", parts_->host->address()},
                                    {"data_dir", config_.data_dir},
                                    {"head_sequence", parts_->log->head()}});
  return absl::OkStatus();
}

absl::Status App::StartDelivery() {
  Parts& parts = *parts_;
  parts.references =
      std::make_unique<GrpcFunctionReferences>(config_.function_manager_address, parts.auth);
  parts.catalog = std::make_unique<SubscriptionCatalog>(*parts.log, *parts.store, *parts.references,
                                                        shared_.clock);
  ASSIGN_OR_RETURN(auto revisions, parts.store->LoadRevisions());
  parts.catalog->Load(std::move(revisions));
  parts.invoker = std::make_unique<StreamInvoker>(config_.function_executor_address, parts.auth);
  parts.delivery = std::make_unique<DeliveryRunner>(
      DeliveryRunner::Ports{*parts.log, *parts.store, *parts.invoker, *parts.catalog,
                            shared_.clock},
      MakeEngineOptions(shared_.clock));
  parts.catalog->Connect(*parts.delivery);
  parts.delivery->Start({std::move(parts.saved), parts.catalog->Revisions(), parts.catalog->All()});
  parts.catalog->CompletePending();
  parts.keeper = std::make_unique<LogKeeper>(*parts.log, *parts.catalog);
  parts.metrics = RegisterBrokerMetrics(shared_.metrics, *parts.log, *parts.delivery);
  return absl::OkStatus();
}

absl::Status App::Serve() {
  Parts& parts = *parts_;
  const PublishRules rules{{config_.spaces_allowed.begin(), config_.spaces_allowed.end()},
                           config_.event_data_bytes_max};
  parts.readers = std::make_unique<WorkerPool>(
      WorkerPool::Options{.name = "log-reader", .threads = 2, .queue_max = 1024});
  parts.broker_api = std::make_unique<EventBrokerApi>(*parts.log, *parts.readers, rules);
  parts.catalog_api = std::make_unique<EventCatalogApi>(
      EventCatalogApi::Ports{*parts.catalog, *parts.store, *parts.delivery, *parts.log}, rules,
      parts.auth);
  parts.route_api = std::make_unique<RouteApi>(*parts.catalog, parts.auth);
  rpc::ServerOptions options;
  options.name = kServiceName;
  if (config_.HasListener()) {
    ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
    options.address = listen.ToString();
  }
  options.connection_age_max = kConnectionAgeMax;
  options.services = {parts.broker_api.get(), parts.catalog_api.get(), parts.route_api.get()};
  ASSIGN_OR_RETURN(parts.host, rpc::ServerHost::Start(std::move(options)));
  parts.host->SetServing(true);
  parts.reconciler = std::make_unique<Reconciler>(*parts.catalog, *parts.references);
  return absl::OkStatus();
}

absl::Status App::Stop(std::chrono::milliseconds deadline) {
  if (parts_ == nullptr) return absl::OkStatus();
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
  Parts& parts = *parts_;
  parts.reconciler.reset();
  if (parts.host) {
    parts.host->SetServing(false);
    parts.host->Stop(std::min<std::chrono::milliseconds>(deadline / 4, std::chrono::seconds(2)));
  }
  if (parts.readers) parts.readers->Stop();
  if (parts.delivery) parts.delivery->Stop(deadline / 2);
  if (parts.invoker) parts.invoker->Stop();
  parts.keeper.reset();
  // Answers to its calls go on in the catalog, the log and the store.
  if (parts.references) parts.references->Stop();
  if (parts.log) parts.log->Stop();
  if (parts.store) parts.store->Stop();
  parts.metrics.clear();
  parts_.reset();
  log::Info("event-broker stopped");
  return absl::OkStatus();
}

int App::port() const {
  return parts_ == nullptr || parts_->host == nullptr ? 0 : parts_->host->port();
}

}  // namespace penstock::broker
