// One call on its way through the invoker. Internal to invoker.cc and invoker_run.cc.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// The steps of a call, each a method: Begin → OnRevisionKnown → OnAdmitted → StartRun → StartDriver
// → OnDriverDone → End. Any of them may run on another thread than the one before. No lock is held
// while another object is called.
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
  void StartDriver();
  Invocation MakeInvocation() const;
  // Checks what is answered.
  void OnDriverDone(Outcome outcome);
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
  bool has_slot_ = false;
  std::shared_ptr<Timers::Handle> queue_timer_;
  ExecutionRecord record_;
  MonotonicTime started_;
  MonotonicTime driver_started_;
  Microseconds driver_time_{0};

  mutable std::mutex mutex_;
  Stage stage_ = Stage::kWaitingForRevision;
  bool cancelled_ = false;
  std::shared_ptr<Driver::Call> driver_call_;
};

}  // namespace penstock::executor
