// One call on its way through the invoker. Internal to the .cc files of the invoker.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "services/function-executor/domain/invoker.h"
#include "services/function-executor/domain/middleware/chain.h"

namespace penstock::executor {

// The steps of a call, each a method: Begin → OnRevisionKnown → OnAdmitted → StartRun → StartChain
// (middleware) → StartDriver → OnAnswer → End. Any of them may run on another thread than the one
// before. No lock is held while another object is called.
class Invoker::Run final : public Invoker::Call,
                           public ConcurrencyGates::Waiter,
                           public std::enable_shared_from_this<Run> {
 public:
  Run(Invoker& invoker, InvokeOrder order, Done done);

  void Begin();
  void Cancel() override;
  void OnAdmitted() override;

  // What is known while the driver runs.
  ExecutionRecord Snapshot() const;
  bool Matches(const ExecutionQuery& query) const;
  const std::string& space() const { return order_.space; }

 private:
  enum class Stage { kWaitingForRevision, kQueued, kRunning, kDone };

  void OnRevisionKnown(const absl::Status& status);
  void EnterGate(std::shared_ptr<const FunctionSpec> function);
  void OnQueueTimeout();
  // With the function's slot: makes the record, and checks what is given.
  void StartRun();
  // Gives the call to the middleware, or where there is none to the driver.
  void StartChain();
  // May be called again when `done` was.
  void StartDriver(Invocation invocation, Driver::Done done);
  // The driver had the call from `since` until now.
  void CountDriver(MonotonicTime since);
  Invocation MakeInvocation() const;
  // Checks what is answered.
  void OnAnswer(Outcome outcome);
  // For the record: what was done since `since` beside the middleware of the chain.
  void AddStep(std::string_view name, StepPhase phase, std::string_view effect,
               MonotonicTime since);
  RecordBodies BodiesFor(const Outcome* outcome) const;
  void End(Outcome outcome);
  // Ends a call that no driver was given.
  void Refuse(absl::Status status);
  void LeaveGate();
  // True for exactly one caller.
  bool TakeEnd();
  Microseconds TimeLeft() const;

  Invoker& invoker_;
  InvokeOrder order_;
  Done done_;
  const MonotonicTime arrival_;
  MonotonicTime deadline_;

  // Set before the stage that needs them is entered, not changed afterwards.
  std::shared_ptr<const FunctionSpec> function_;
  std::shared_ptr<const Secrets> secrets_;
  std::shared_ptr<const SecretValues> signing_;
  std::shared_ptr<const Chain> chain_;
  bool has_slot_ = false;
  std::shared_ptr<Timers::Handle> queue_timer_;
  ExecutionRecord record_;
  MonotonicTime started_;
  MonotonicTime driver_started_;  // Without a chain.
  // In the driver, all attempts together.
  std::atomic<std::int64_t> driver_micros_{0};

  mutable std::mutex mutex_;
  Stage stage_ = Stage::kWaitingForRevision;
  bool cancelled_ = false;
  std::shared_ptr<Driver::Call> driver_call_;
  std::uint64_t driver_starts_ = 0;      // Tells which start `driver_call_` is of.
  std::shared_ptr<ChainRun> chain_run_;  // While the call is in it.
};

}  // namespace penstock::executor
