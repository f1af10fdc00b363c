// The gateway, put together.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/lifecycle/app.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/app/config.h"

namespace penstock::gateway {

inline constexpr char kServiceName[] = "gateway";

// The service without its process: a program runs it alone, or beside the other services. It is
// ready whether or not the services behind it are: what needs a service that is lost answers 503.
// Start and Stop belong to one thread.
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

  // Opens the listeners. Connects to nothing yet.
  absl::Status Start() override;

  // Goes by `config` from now on, as far as its keys are Reloadable; the others stay as they are.
  // Requests under way go on as they began, and none fails for it. Everything is built and checked
  // first: an error, which names the key or file at fault, changes nothing. Gives the keys of files
  // that hold something new. From any thread that may block, but not while Start or Stop runs.
  absl::StatusOr<std::vector<std::string>> Reload(const Config& config);

  // Takes nothing new, answers what is in flight for most of `deadline`, ends the rest.
  absl::Status Stop(std::chrono::milliseconds deadline) override;

  // The bound ports while it runs; 0 without that listener.
  std::uint16_t http_port() const;
  std::uint16_t config_port() const;
  std::uint16_t grpc_port() const;

 private:
  struct Parts;

  App(Config config, Shared shared);
  absl::Status StartHttp();
  absl::Status StartLegacy();
  absl::Status StartGrpc(std::shared_ptr<const rpc::PeerAuth> peer_auth);

  const Shared shared_;
  Config config_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::gateway
