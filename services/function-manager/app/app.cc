#include "services/function-manager/app/app.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "libs/base/core_dumps.h"
#include "libs/base/status.h"
#include "libs/base/worker_pool.h"
#include "libs/config/listen_address.h"
#include "libs/jq/check.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/log/log.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_host.h"
#include "services/function-manager/api/call_metrics.h"
#include "services/function-manager/api/function_manager_api.h"
#include "services/function-manager/api/function_registry_api.h"
#include "services/function-manager/app/source_sweeper.h"
#include "services/function-manager/crypto/aes_gcm_cipher.h"
#include "services/function-manager/domain/change_feed.h"
#include "services/function-manager/domain/function_catalog.h"
#include "services/function-manager/domain/program_checks.h"
#include "services/function-manager/domain/reference_keeper.h"
#include "services/function-manager/domain/secret_catalog.h"
#include "services/function-manager/domain/source_checks.h"
#include "services/function-manager/domain/source_keeper.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/domain/traffic_catalog.h"
#include "services/function-manager/storage/file_source_store.h"
#include "services/function-manager/storage/measured_function_store.h"
#include "services/function-manager/storage/sqlite_function_store.h"

namespace penstock::functions {
namespace {

// Each stream of a source waits with one job at a time.
constexpr std::size_t kSourceQueueMax = 4096;
constexpr std::chrono::milliseconds kConnectionAgeMax = std::chrono::minutes(5);
// Running calls are short; what takes longer is a connected client that is slow to leave.
constexpr std::chrono::milliseconds kStopGraceMax = std::chrono::seconds(2);

// Functions and spaces whose jq programs wait to be compiled.
constexpr std::size_t kProgramQueueMax = 64;

}  // namespace

// Everything that Start makes, in the order in which it is made: destroyed in reverse.
struct App::Parts {
  Parts(std::unique_ptr<SqliteFunctionStore> opened,
        std::unique_ptr<FileSourceStore> opened_sources, std::unique_ptr<AesGcmCipher> loaded,
        const Config& config, const Shared& shared, std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : cipher(std::move(loaded)),
        sqlite(std::move(opened)),
        source_files(std::move(opened_sources)),
        store(*sqlite, shared.clock, shared.metrics),
        spaces(config.spaces_allowed),
        feed(store, {}),
        jq_worker(jq::FindWorker()),
        program_pool({.name = "jq-check", .threads = 2, .queue_max = kProgramQueueMax}),
        programs(
            [this](std::string_view field, std::string_view program) {
              return CheckProgram(field, program);
            },
            [this](std::function<void()> work) { return program_pool.TryPost(std::move(work)); }),
        source_pool({.name = "fm-sources", .threads = 2, .queue_max = kSourceQueueMax}),
        source_checks(
            *source_files,
            [this](std::function<void()> work) { return source_pool.TryPost(std::move(work)); }),
        catalog(store, shared.clock, spaces, static_cast<std::size_t>(config.versions_kept),
                &source_checks, &programs),
        traffic(store, spaces, static_cast<std::size_t>(config.versions_kept)),
        secrets(store, *cipher, shared.clock, spaces),
        middleware(store, shared.clock, spaces, &programs),
        sources(store, *source_files, shared.clock, spaces, config.sources_grace),
        keeper(store, spaces),
        deployments(store),
        calls(shared.metrics),
        manager(catalog, traffic, secrets, middleware, sources, source_pool, calls, peer_auth),
        registry(keeper, deployments, feed, *cipher, calls, peer_auth),
        function_gauge(shared.metrics.GaugeCallback(
            "penstock_functions_functions", "Functions that are stored.",
            [this] { return static_cast<double>(store.Count()); })),
        watch_gauge(shared.metrics.GaugeCallback(
            "penstock_functions_watch_streams", "Open watches of functions.",
            [this] { return static_cast<double>(feed.size()); })) {}

  absl::Status CheckProgram(std::string_view field, std::string_view program) const {
    if (is_stopping) return absl::UnavailableError("the function-manager is stopping");
    return jq::Check(field, program, jq_worker);
  }

  std::optional<lifecycle::DataFolderLock> lock;
  std::unique_ptr<AesGcmCipher> cipher;
  std::unique_ptr<SqliteFunctionStore> sqlite;
  std::unique_ptr<FileSourceStore> source_files;
  MeasuredFunctionStore store;
  const SpaceRule spaces;
  ChangeFeed feed;
  const std::string jq_worker;
  std::atomic<bool> is_stopping{false};
  WorkerPool program_pool;
  const ProgramChecks programs;
  WorkerPool source_pool;
  const SourceChecks source_checks;
  FunctionCatalog catalog;
  TrafficCatalog traffic;
  SecretCatalog secrets;
  SpaceMiddlewareCatalog middleware;
  SourceKeeper sources;
  ReferenceKeeper keeper;
  DeploymentKeeper deployments;
  CallMetrics calls;
  FunctionManagerApi manager;
  FunctionRegistryApi registry;
  metrics::Registration function_gauge;
  metrics::Registration watch_gauge;
  std::unique_ptr<rpc::ServerHost> host;
  std::optional<SourceSweeper> sweeper;
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
  ASSIGN_OR_RETURN(
      auto lock, lifecycle::DataFolderLock::Acquire(config_.data_dir, "penstock-function-manager"));
  ASSIGN_OR_RETURN(auto peer_auth, rpc::PeerAuth::Load(config_.peer_token_file));
  const std::string path = (std::filesystem::path(config_.data_dir) / "functions.db").string();
  ASSIGN_OR_RETURN(auto opened, SqliteFunctionStore::Open({.path = path}, shared_.clock));
  ASSIGN_OR_RETURN(auto sources,
                   FileSourceStore::Open(
                       {.folder = (std::filesystem::path(config_.data_dir) / "sources").string(),
                        .source_bytes_max = static_cast<std::int64_t>(config_.sources_bytes_max)}));
  ASSIGN_OR_RETURN(auto cipher, AesGcmCipher::Load({.key_file = config_.secrets_key_file,
                                                    .makes_key = config_.makes_secrets_key,
                                                    .keys = config_.secrets_key.Reveal()}));
  if (cipher->made_key()) {
    log::Warn(
        "made the key that encrypts secrets: without this file they cannot be read, so keep a "
        "copy of it elsewhere",
        {{"secrets.key_file", config_.secrets_key_file}});
  }
  // A core holds what the memory held: keys, and the values that were on their way.
  if (cipher->CurrentKey().ok()) ForbidCoreDumps();
  parts_ = std::make_unique<Parts>(std::move(opened), std::move(sources), std::move(cipher),
                                   config_, shared_, std::move(peer_auth));
  parts_->lock = std::move(lock);

  rpc::ServerOptions options;
  options.name = kServiceName;
  if (config_.HasListener()) {
    ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
    options.address = listen.ToString();
  }
  options.connection_age_max = kConnectionAgeMax;
  options.services = {&parts_->manager, &parts_->registry};
  ASSIGN_OR_RETURN(parts_->host, rpc::ServerHost::Start(std::move(options)));
  parts_->sweeper.emplace(parts_->sources, config_.sources_grace);
  parts_->host->SetServing(true);
  shared_.readiness.Register(kServiceName, [] { return absl::OkStatus(); });
  log::Info("function-manager serves", {{"address", parts_->host->address()},
                                        {"data_dir", config_.data_dir},
                                        {"functions", parts_->store.Count()}});
  return absl::OkStatus();
}

absl::Status App::Stop(std::chrono::milliseconds deadline) {
  if (parts_ == nullptr) return absl::OkStatus();
  shared_.readiness.Register(kServiceName, [] { return absl::UnavailableError("is not serving"); });
  if (parts_->host != nullptr) parts_->host->SetServing(false);
  parts_->feed.Close(absl::UnavailableError("the function-manager is stopping"));
  if (parts_->host != nullptr) parts_->host->Stop(std::min(deadline / 2, kStopGraceMax));
  parts_->is_stopping = true;
  parts_->program_pool.Stop();
  parts_->sweeper.reset();
  parts_->source_pool.Stop();
  parts_->store.Stop();
  parts_.reset();
  log::Info("function-manager stopped");
  return absl::OkStatus();
}

int App::port() const {
  return parts_ == nullptr || parts_->host == nullptr ? 0 : parts_->host->port();
}

}  // namespace penstock::functions
