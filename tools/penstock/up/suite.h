// All four services in one process, over in-process channels.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/lifecycle/app.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "services/event-broker/app/app.h"
#include "services/function-executor/app/app.h"
#include "services/function-manager/app/app.h"
#include "services/gateway/app/app.h"

namespace penstock::cli {

struct SuiteConfig {
  // Holds a folder for each service that has a state.
  std::string data_dir;
  functions::Config function_manager;
  executor::Config function_executor;
  broker::Config event_broker;
  gateway::Config gateway;

  // INVALID_ARGUMENT naming the keys, each below its service's section.
  absl::Status Validate() const;
};

// Binds each service's keys below "function_manager", "function_executor", "event_broker" and
// "gateway".
void Bind(config::Binder& binder, SuiteConfig& config);

// Starts the services in the order in which they need each other, the gateway last, and stops them
// in reverse. Start and Stop belong to one thread.
class Suite final : public lifecycle::App {
 public:
  // What the services share; must outlive the suite.
  struct Shared {
    const Clock& clock;
    metrics::Registry& metrics;
    lifecycle::Readiness& readiness;
  };

  // Runs at the end of a Start that succeeded; an error of it fails the Start.
  using OnStarted = std::function<absl::Status(const gateway::App& gateway)>;

  Suite(SuiteConfig config, Shared shared, OnStarted on_started);

  absl::Status Start() override;
  absl::Status Stop(std::chrono::milliseconds deadline) override;

  // Each service goes by its part of `config`, as its own Reload says: the gateway first, as it
  // alone can refuse what is valid. Gives the keys of files that hold something new. From any
  // thread that may block, but not while Start or Stop runs.
  absl::StatusOr<std::vector<std::string>> Reload(const SuiteConfig& config);

 private:
  using Renewed = absl::StatusOr<std::vector<std::string>>;
  struct Service {
    std::string name;
    std::unique_ptr<lifecycle::App> app;
    // The app's Reload with its part of the settings.
    std::function<Renewed(const SuiteConfig&)> reload;
  };

  // Makes and starts one service, whose settings are the section `part`.
  template <typename ServiceApp, typename Config>
  absl::StatusOr<const ServiceApp*> StartOne(std::string name, Config SuiteConfig::*part);

  const SuiteConfig config_;
  const Shared shared_;
  const OnStarted on_started_;
  std::optional<lifecycle::DataFolderLock> lock_;
  // In the order of start.
  std::vector<Service> services_;
};

}  // namespace penstock::cli
