#include "services/function-executor/app/app.h"

#include <memory>
#include <string>
#include <utility>

#include "libs/base/core_dumps.h"
#include "libs/base/status.h"
#include "libs/config/changes.h"
#include "libs/config/listen_address.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/log/log.h"
#include "services/function-executor/app/egress.h"
#include "services/function-executor/app/parts.h"

namespace penstock::executor {
namespace {

constexpr std::chrono::milliseconds kConnectionAgeMax = std::chrono::minutes(5);
constexpr int kReplicasMax = 64;
constexpr char kProgram[] = "penstock-function-executor";

// Locks the data folder and says in `config` which it is. Replicas may share one volume: each takes
// the first folder in it that no other holds, so that a replica that is made anew goes on with the
// records of one that is gone.
absl::StatusOr<lifecycle::DataFolderLock> LockDataFolder(Config& config) {
  if (config.cluster_peers.empty()) {
    return lifecycle::DataFolderLock::Acquire(config.data_dir, kProgram);
  }
  const std::string shared_folder = config.data_dir;
  absl::StatusOr<lifecycle::DataFolderLock> lock = absl::InternalError("no folder was tried");
  for (int i = 0; i < kReplicasMax; ++i) {
    config.data_dir = shared_folder + "/replica-" + std::to_string(i);
    lock = lifecycle::DataFolderLock::Acquire(config.data_dir, kProgram);
    // Only another holder is a reason to go on.
    if (!absl::IsFailedPrecondition(lock.status())) break;
  }
  return lock;
}

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Create(Config config, Shared shared) {
  RETURN_IF_ERROR(config.Validate());
  return std::unique_ptr<App>(new App(std::move(config), shared));
}

App::App(Config config, Shared shared) : config_(std::move(config)), shared_(shared) {
  shared_.readiness.Register(config_.server_name,
                             [] { return absl::UnavailableError("is not serving"); });
}

App::~App() {
  Stop(std::chrono::seconds(2)).IgnoreError();
  shared_.readiness.Unregister(config_.server_name);
}

absl::Status App::Start() {
  Config config = config_;
  ASSIGN_OR_RETURN(auto lock, LockDataFolder(config));
  ASSIGN_OR_RETURN(auto opened, Parts::Open(std::move(lock), config, shared_));
  parts_ = std::make_unique<Parts>(std::move(opened), config, shared_);

  // A core holds what the memory held: the secrets of functions.
  ForbidCoreDumps();
  rpc::ServerOptions options;
  options.name = config_.server_name;
  if (config_.HasListener()) {
    ASSIGN_OR_RETURN(const auto listen, config::ParseListenAddress(config_.grpc_listen));
    options.address = listen.ToString();
  }
  options.connection_age_max = kConnectionAgeMax;
  options.services = {&parts_->executor_api, &parts_->invocation_api};
  parts_->executor_api.AddDirect(parts_->direct);
  parts_->invocation_api.AddDirect(parts_->direct);
  options.direct = &parts_->direct;
  options.loops = parts_->loops.get();
  ASSIGN_OR_RETURN(parts_->host, rpc::ServerHost::Start(std::move(options)));
  parts_->watcher.Start();
  if (parts_->peers) parts_->peers->Start();
  parts_->host->SetServing(true);
  shared_.readiness.Register(config_.server_name,
                             [parts = parts_.get()] { return parts->registry.Ready(); });
  log::Info("function-executor serves", {{"address", parts_->host->address()},
                                         {"data_dir", config.data_dir},
                                         {"instance", parts_->instance}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> App::Reload(const Config& config) {
  if (parts_ == nullptr) return absl::FailedPreconditionError("the executor does not serve");
  ASSIGN_OR_RETURN(Config next, config::WithReloadableOf(config_, config));
  RETURN_IF_ERROR(next.Validate());
  ASSIGN_OR_RETURN(auto policy, MakeEgressPolicy(next));
  parts_->egress->Exchange(std::make_shared<const http::EgressPolicy>(std::move(policy)));
  const bool is_same = next.egress_allow == config_.egress_allow &&
                       next.egress_denied_ports == config_.egress_denied_ports;
  if (!is_same) {
    parts_->client->RenewConnections();
    parts_->middleware_services.RenewConnections();
  }
  config_ = std::move(next);
  return std::vector<std::string>();
}

absl::Status App::Stop(std::chrono::milliseconds deadline) {
  if (parts_ == nullptr) return absl::OkStatus();
  shared_.readiness.Register(config_.server_name,
                             [] { return absl::UnavailableError("is not serving"); });
  const bool is_clean = parts_->Stop(deadline);
  parts_.reset();
  if (!is_clean) log::Warn("calls that did not end in time were cancelled");
  log::Info("function-executor stopped");
  return absl::OkStatus();
}

int App::port() const {
  return parts_ == nullptr || parts_->host == nullptr ? 0 : parts_->host->port();
}

}  // namespace penstock::executor
