// A worker as its pool sees it: a process, what it is doing, and for whom.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "services/function-executor/drivers/process/function_pool.h"

namespace penstock::executor {

// Lives on the event loop's thread; the pool owns it until the process has ended, and outlives it.
class FunctionPool::Worker final : public WorkerProcess::Listener {
 public:
  enum class State {
    kSpawning,  // The process is being started.
    kLoading,   // It loads the function's source; a ready line ends this.
    kIdle,
    kBusy,    // It runs `call_`.
    kEnding,  // It was told to end, or killed.
  };

  explicit Worker(FunctionPool& pool);

  State state() const { return state_; }
  bool starting() const { return state_ == State::kSpawning || state_ == State::kLoading; }
  bool ready() const { return state_ == State::kIdle || state_ == State::kBusy; }
  // True when its program is known to run: it has announced itself, or answered.
  bool proven() const { return ready() && (HasHandshake() || answers_ > 0); }
  std::uint64_t last_use() const { return last_use_; }
  const std::shared_ptr<PendingCall>& call() const { return call_; }
  // False when a process that should wait for a request has written something or closed its output.
  bool Trustworthy() const;

  // Takes over a process that was started for this worker.
  void Adopt(SpawnedProcess process);
  void Run(const std::shared_ptr<PendingCall>& call, std::string line);
  // Kills the process, and ends the call with `error` and the log once it is gone: until then the
  // function may still do something.
  void AbortCall(FunctionError error);
  // Lets an idle worker's time run that was kept beyond it.
  void WaitForIdleEnd();
  // Asks an idle worker to end; kills it when it takes too long.
  void End();
  void Kill();

  void OnLine(std::string line, bool more) override;
  void OnLineTooLong() override;
  void OnExit() override;

 private:
  bool HasHandshake() const { return pool_.target().runtime != "exec"; }
  void OnFirstLine(const std::string& line);
  void OnUnaskedLine(const std::string& line);
  void OnAnswer(const std::string& line, bool more);
  bool RefusedToStart(const std::string& line);
  void BecomeIdle();
  void OnIdleTimeout();
  // Ends the call when its process has used up its CPU time; looks again when it could have.
  void WatchCpuTime();
  void CallCrashed();
  void FinishAborted();
  void FailStart(FunctionError error);
  FunctionError Crash() const;
  FunctionError TooLarge() const;
  // The log since the last call, with what the answer itself brought.
  Logs TakeLogs(const Logs& answered);

  FunctionPool& pool_;
  State state_ = State::kSpawning;
  std::shared_ptr<WorkerProcess> process_;
  std::shared_ptr<PendingCall> call_;
  std::shared_ptr<PendingCall> aborted_;  // Waits for the end of the killed process.
  FunctionError abort_error_;
  EventLoop::Timer abort_timer_;  // For a process that the kernel does not let die.
  EventLoop::Timer timer_;        // Of the start, of being idle, or of the grace while ending.
  EventLoop::Timer cpu_timer_;    // While a call runs that has a limit.
  Microseconds cpu_time_before_{0};
  std::int64_t calls_ = 0;
  int answers_ = 0;
  std::uint64_t last_use_ = 0;
};

}  // namespace penstock::executor
