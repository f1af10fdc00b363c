// The event-broker, put together.
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
#include "services/event-broker/app/config.h"

namespace penstock::broker {

struct StreamInvokerOptions;

// The name under which the service is reachable in its process: "inproc:event-broker".
inline constexpr char kServiceName[] = "event-broker";

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

  // Checks the configuration and registers the readiness check, which fails until Start succeeded.
  static absl::StatusOr<std::unique_ptr<App>> Create(Config config, Shared shared);

  // Stops as Stop() does when that was not done.
  ~App() override;

  // Locks the data folder, recovers the log, loads the state, delivers, serves. The other services
  // need not be there yet.
  absl::Status Start() override;

  // Goes by `config` from now on, as far as its keys are Reloadable; the others stay as they are.
  // What runs goes on. An error changes nothing. Gives no further keys. From any thread that may
  // block, but not while Start or Stop runs.
  absl::StatusOr<std::vector<std::string>> Reload(const Config& config);

  // Takes nothing new, lets deliveries end for half of `deadline`, makes everything durable,
  // closes.
  absl::Status Stop(std::chrono::milliseconds deadline) override;

  // The bound gRPC port while it runs; 0 without a network listener.
  int port() const;

 private:
  struct Parts;

  App(Config config, Shared shared);
  absl::StatusOr<StreamInvokerOptions> MakeInvokerOptions() const;
  absl::Status StartDelivery();
  absl::Status Serve();

  Config config_;
  const Shared shared_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::broker
