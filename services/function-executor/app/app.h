// The function-executor, put together.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/lifecycle/app.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "services/function-executor/app/config.h"

namespace penstock::executor {

// The name under which the service is reachable in its process: "inproc:function-executor".
inline constexpr char kServiceName[] = "function-executor";

// The service without its process: a program runs it alone, or beside the other services. Start and
// Stop belong to one thread.
class App final : public lifecycle::App {
 public:
  // What the process owns and all its services use; must outlive the app.
  struct Shared {
    const Clock& clock;
    metrics::Registry& metrics;
    lifecycle::Readiness& readiness;
  };

  // Checks the configuration and registers the readiness check, which fails until Start succeeded
  // and the function-manager has sent its functions.
  static absl::StatusOr<std::unique_ptr<App>> Create(Config config, Shared shared);

  // Stops as Stop() does when that was not done.
  ~App() override;

  // Locks the data folder, opens the store, serves. Does not wait for the function-manager.
  absl::Status Start() override;

  // Goes by `config` from now on, as far as its keys are Reloadable; the others stay as they are.
  // What runs goes on. An error changes nothing. Gives no further keys. From any thread that may
  // block, but not while Start or Stop runs.
  absl::StatusOr<std::vector<std::string>> Reload(const Config& config);

  // Tells brokers to send nothing new, gives what runs most of `deadline`, cancels the rest, writes
  // the records.
  absl::Status Stop(std::chrono::milliseconds deadline) override;

  // The bound gRPC port while it runs; 0 without a network listener.
  int port() const;

 private:
  struct Parts;

  App(Config config, Shared shared);

  Config config_;
  const Shared shared_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::executor
