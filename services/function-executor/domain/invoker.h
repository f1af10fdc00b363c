// Runs functions by name.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/concurrency_gates.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/domain/execution_id.h"
#include "services/function-executor/domain/execution_journal.h"
#include "services/function-executor/domain/function_registry.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/domain/schema_checks.h"
#include "services/function-executor/ports/call_observer.h"
#include "services/function-executor/ports/driver.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// A call of a function, as the caller names it.
struct InvokeOrder {
  std::string space;
  std::string function;
  std::string tag;  // As in FunctionChoice, like the next.
  std::string sticky_key;
  TriggerKind trigger = TriggerKind::kCall;
  Bytes payload;  // Never null.
  std::string content_type;
  std::optional<EventAttributes> event;
  std::optional<HttpRequestContext> http;
  std::string subscription;  // The id; empty when it is no delivery, as the next.
  std::string delivery_id;
  int attempt = 1;
  bool replay = false;                 // As in Invocation, like the next.
  std::shared_ptr<const Batch> batch;  // Null unless it is one.
  // The record's id, where it is known before; else one is made.
  std::string execution_id;
  // The event asks for a call: the record tells of it, the function gets its data alone.
  bool event_is_call = false;
  // What is called instead of the function that the names say; null for that function.
  std::shared_ptr<const FunctionSpec> instead;
  std::string caller;
  std::string idempotency_key;
  std::string traceparent;
  // The call ends within this time; the function's own limit counts too.
  std::optional<Microseconds> timeout;
  // The function-manager's revision that must be known first; 0 for none.
  std::int64_t min_revision = 0;
};

struct InvokeResult {
  // Not OK when no driver was given the call: NOT_FOUND (no such function or version), UNAVAILABLE
  // (functions not known, or not up to the revision, or stopping), RESOURCE_EXHAUSTED (full),
  // DEADLINE_EXCEEDED, CANCELLED. The members below are then empty.
  absl::Status refusal;
  std::string execution_id;
  std::int64_t function_version = 0;
  Outcome outcome;
  Microseconds duration{0};
};

// One driver for each kind of target. `process` may be null: then process functions end with an
// error. All must outlive their user.
struct Drivers {
  Driver& noop;
  Driver& http;
  Driver* process = nullptr;
};

struct InvokerOptions {
  // Calls of one function that may wait for its concurrency limit.
  std::size_t queue_max = 256;
  // How long a call waits for the revision that it needs.
  Microseconds revision_wait_max{2'000'000};
};

// Finds the function, waits for its limits, holds what it is given and answers against its schemas,
// gives the call to the driver, keeps the record.
//
// Thread-safe; nothing blocks. All that it is given must outlive it, and it must outlive its calls:
// stop the drivers, the registry and the timers before it goes.
class Invoker {
 public:
  using Options = InvokerOptions;
  using Done = std::function<void(InvokeResult)>;

  // A call under way. Dropping it does not cancel. Thread-safe.
  class Call {
   public:
    virtual ~Call() = default;
    // Ends the call early; its `done` still runs.
    virtual void Cancel() = 0;
  };

  struct Parts {
    FunctionRegistry& registry;
    Drivers drivers;
    ExecutionJournal& journal;
    ExecutionIds& ids;
    Timers& timers;
    CallObserver& observer;
    const SchemaChecks& schemas;
    const Clock& clock;
  };

  explicit Invoker(Parts parts, Options options = {});
  ~Invoker();
  Invoker(const Invoker&) = delete;
  Invoker& operator=(const Invoker&) = delete;

  // Runs `done` exactly once, on any thread, possibly before this returns. The record is readable
  // by then.
  std::shared_ptr<Call> Invoke(InvokeOrder order, Done done);

  // From now on new calls are refused with UNAVAILABLE.
  void StopAccepting();

  // Executions that drivers run now.
  std::size_t running() const;
  std::optional<ExecutionRecord> FindRunning(const std::string& space, const std::string& id) const;
  // All of them that match, in no order; the query's limit aside.
  std::vector<ExecutionRecord> ListRunning(const ExecutionQuery& query) const;
  // False when no such execution runs. Its record will say `Cancelled`.
  bool CancelRunning(const std::string& space, const std::string& id);
  // Cancels everything that runs.
  void CancelAll();

 private:
  class Run;

  Driver* DriverOf(const FunctionSpec& function) const;
  void Add(const std::string& id, std::shared_ptr<Run> run);
  void Remove(const std::string& id);

  const Parts parts_;
  const Options options_;
  ConcurrencyGates gates_;
  std::atomic<bool> accepting_{true};
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Run>> running_;
};

}  // namespace penstock::executor
