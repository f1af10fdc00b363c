// Finds out whether new versions start here, and tells the function-manager.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/function_registry.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// What came of starting a version's program; no error means that it runs.
struct StartOutcome {
  std::optional<FunctionError> error;
  Logs logs;  // What it wrote before it failed.
};

// What the function-manager is told of a version.
struct DeploymentReport {
  std::string space;
  std::string id;
  std::string uid;
  std::int64_t version = 0;
  bool is_ready = false;
  std::string reason;  // Why it is not.
};

// Starts each process version that no executor has started yet, a few at a time, and reports what
// came of it. One that fails is tried again after 2 s, doubled up to 5 min, until it starts
// anywhere or calls no longer reach it: what it needs may come back. A first failure that is not
// the function's own is not reported: another executor may be better off, or this one in a moment.
// Thread-safe.
class Deployments {
 public:
  struct Ports {
    // Calls `done` once, on any thread.
    std::function<void(std::shared_ptr<const FunctionSpec>, std::function<void(StartOutcome)> done)>
        start;
    // The same. Answers whether any executor has started the version; NOT_FOUND when it is gone.
    std::function<void(DeploymentReport, std::function<void(absl::StatusOr<bool>)> done)> report;
    Timers* timers = nullptr;
  };

  // What `ports` name must outlive this object, and Stop().
  explicit Deployments(Ports ports);
  // Stops as Stop() does.
  ~Deployments();
  Deployments(const Deployments&) = delete;
  Deployments& operator=(const Deployments&) = delete;

  // What the function-manager announced; in a snapshot everything that there is.
  void Apply(const std::vector<FunctionUpdate>& updates, bool is_snapshot);

  // Starts nothing more. What runs may still end. Idempotent.
  void Stop();

 private:
  class Book;
  const std::shared_ptr<Book> book_;
};

}  // namespace penstock::executor
