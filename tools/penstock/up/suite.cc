#include "tools/penstock/up/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "libs/base/status.h"
#include "libs/log/log.h"

namespace penstock::cli {
namespace {

constexpr char kSuiteCheck[] = "suite";

// `status` with what failed in front, its details kept.
absl::Status Because(std::string_view what, const absl::Status& status) {
  absl::Status named(status.code(), fmt::format("{}: {}", what, std::string(status.message())));
  status.ForEachPayload(
      [&](auto url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace

absl::Status SuiteConfig::Validate() const {
  std::vector<FieldViolation> violations;
  const auto check = [&](std::string_view section, const absl::Status& status) {
    if (status.ok()) return;
    const auto found = FieldViolationsOf(UnderField(section, status));
    violations.insert(violations.end(), found.begin(), found.end());
    if (found.empty()) {
      violations.push_back({std::string(section), std::string(status.message())});
    }
  };
  check("function_manager", function_manager.Validate());
  check("function_executor", function_executor.Validate());
  check("event_broker", event_broker.Validate());
  check("gateway", gateway.Validate());
  return FieldErrors(violations);
}

void Bind(config::Binder& binder, SuiteConfig& config) {
  config::Binder manager = binder.Under("function_manager");
  functions::Bind(manager, config.function_manager);
  config::Binder executor = binder.Under("function_executor");
  executor::Bind(executor, config.function_executor);
  config::Binder broker = binder.Under("event_broker");
  broker::Bind(broker, config.event_broker);
  config::Binder gateway = binder.Under("gateway");
  gateway::Bind(gateway, config.gateway);
}

Suite::Suite(SuiteConfig config, Shared shared, OnStarted on_started)
    : config_(std::move(config)), shared_(shared), on_started_(std::move(on_started)) {
  // Services enter their own checks one by one: without this, the first ones alone would be ready.
  shared_.readiness.Register(kSuiteCheck, [] { return absl::UnavailableError("is starting"); });
}

template <typename ServiceApp, typename Config>
absl::StatusOr<const ServiceApp*> Suite::StartOne(std::string name, Config SuiteConfig::*part) {
  auto made =
      ServiceApp::Create(config_.*part, {shared_.clock, shared_.metrics, shared_.readiness});
  if (!made.ok()) return Because(name, made.status());
  ServiceApp* const app = made->get();
  std::function<Renewed(const SuiteConfig&)> reload;
  if constexpr (requires(const Config& config) { app->Reload(config); }) {
    reload = [app, part](const SuiteConfig& config) { return app->Reload(config.*part); };
  }
  services_.push_back({name, *std::move(made), std::move(reload)});
  if (const absl::Status started = app->Start(); !started.ok()) return Because(name, started);
  return app;
}

absl::Status Suite::Start() {
  ASSIGN_OR_RETURN(lock_, lifecycle::DataFolderLock::Acquire(config_.data_dir, "penstock up"));
  // A token of this run alone: nobody but these services may show it.
  std::error_code ignored;
  std::filesystem::remove(config_.function_manager.peer_token_file, ignored);
  RETURN_IF_ERROR(
      StartOne<functions::App>("function-manager", &SuiteConfig::function_manager).status());
  RETURN_IF_ERROR(
      StartOne<executor::App>("function-executor", &SuiteConfig::function_executor).status());
  RETURN_IF_ERROR(StartOne<broker::App>("event-broker", &SuiteConfig::event_broker).status());
  ASSIGN_OR_RETURN(const gateway::App* const gateway,
                   StartOne<gateway::App>("gateway", &SuiteConfig::gateway));
  RETURN_IF_ERROR(on_started_(*gateway));
  shared_.readiness.Register(kSuiteCheck, [] { return absl::OkStatus(); });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Suite::Reload(const SuiteConfig& config) {
  std::vector<std::string> all;
  for (auto service = services_.rbegin(); service != services_.rend(); ++service) {
    if (!service->reload) continue;
    auto renewed = service->reload(config);
    if (!renewed.ok()) return Because(service->name, renewed.status());
    for (const std::string& key : *renewed) {
      std::string section = service->name;
      std::replace(section.begin(), section.end(), '-', '_');
      all.push_back(fmt::format("{}.{}", section, key));
    }
  }
  return all;
}

absl::Status Suite::Stop(std::chrono::milliseconds deadline) {
  const auto end = shared_.clock.Monotonic() + deadline;
  absl::Status result;
  shared_.readiness.Register(kSuiteCheck, [] { return absl::UnavailableError("is stopping"); });
  while (!services_.empty()) {
    // What one service leaves of its share is there for the next ones.
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max(end - shared_.clock.Monotonic(), Microseconds(0)));
    const auto share = left / static_cast<int>(services_.size());
    const Service service = std::move(services_.back());
    services_.pop_back();
    const absl::Status stopped = service.app->Stop(share);
    if (stopped.ok()) continue;
    log::Warn("a service did not stop cleanly", {{"name", service.name}, {"error", stopped}});
    if (result.ok()) result = Because(service.name, stopped);
  }
  lock_.reset();
  return result;
}

}  // namespace penstock::cli
