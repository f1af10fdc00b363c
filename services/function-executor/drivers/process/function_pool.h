// The workers of one function version, and the calls that wait for them.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/worker_pool.h"
#include "services/function-executor/drivers/process/event_loop.h"
#include "services/function-executor/drivers/process/pending_call.h"
#include "services/function-executor/drivers/process/process_driver.h"
#include "services/function-executor/drivers/process/program.h"
#include "services/function-executor/drivers/process/source_cache.h"
#include "services/function-executor/drivers/process/worker_process.h"

namespace penstock::executor {

// What a pool uses of the driver; all of it outlives the pool.
struct PoolServices {
  const ProcessDriverOptions& options;
  const Clock& clock;
  EventLoop& loop;
  WorkerPool& files;  // One thread: starts processes, writes and removes folders.
  SourceCache& sources;
  std::atomic<int>& workers;  // Processes alive, over all pools.
};

// Starts workers by demand, gives them calls, ends them when idle, used up, or past a deadline.
// Lives on the event loop's thread alone.
class FunctionPool : public std::enable_shared_from_this<FunctionPool> {
 public:
  // `on_ended` is called once, when the pool is retired and its last worker has ended; its folder
  // is then about to be removed on the files thread. It may drop the pool.
  FunctionPool(const PoolServices& services, std::shared_ptr<const FunctionSpec> function,
               std::function<void()> on_ended);
  ~FunctionPool();

  // Runs `call` on a worker, or finishes it with an error.
  void Submit(const std::shared_ptr<PendingCall>& call);

  // Gives `call` up: it ends with `error`, and its worker with it.
  void Abort(const std::shared_ptr<PendingCall>& call, FunctionError error);

  // Starts a worker unless one is ready, and calls `done` with what comes of it.
  void TryStart(std::function<void(StartOutcome)> done);

  // Whether the function's workers_min are to run without calls.
  void SetKept(bool kept);

  // Serves what has been submitted, then ends.
  void Retire();

  // Ends everything now; calls end with "Unavailable".
  void Stop();

 private:
  class Worker;
  friend class Worker;

  void Schedule();
  void FillWorkers();
  void StartWorkers();
  void StartWorker();
  void SpawnWorker(const std::shared_ptr<Worker>& worker, absl::StatusOr<SourceCache::Held> source);
  // Starts what is missing of the workers that are kept, now or when the back-off ends.
  void StartKept();
  void OnSpawned(const std::shared_ptr<Worker>& worker, absl::StatusOr<SpawnedProcess> process);
  std::shared_ptr<Worker> TakeIdle();
  void Dispatch(Worker& worker, const std::shared_ptr<PendingCall>& call);
  void OnDeadline(const std::shared_ptr<PendingCall>& call);
  void StartFailed(FunctionError error, const Logs& logs);
  // For those who try: whether a program without a handshake still runs after a moment.
  void WatchTries();
  // Tells those who try whether workers start.
  void EndTries(const StartOutcome& outcome);
  // True for one whose program is known to run.
  bool HasProvenWorker() const;
  void RemoveWorker(const Worker& worker);
  void AfterWork();

  const ProcessTarget& target() const { return std::get<ProcessTarget>(function_->target); }
  std::size_t workers_max() const;
  std::size_t workers_min() const;
  bool BackingOff() const;
  // Workers that may take a call now or soon, and those that have shown that they can.
  std::size_t CountUsable() const;
  std::size_t CountStarting() const;
  std::size_t CountReady() const;

  const PoolServices services_;
  const std::shared_ptr<const FunctionSpec> function_;
  const std::shared_ptr<Program> program_;  // Also held by jobs on the files thread.
  std::function<void()> on_ended_;
  std::deque<std::shared_ptr<PendingCall>> queue_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::function<void(StartOutcome)>> tries_;
  std::uint64_t uses_ = 0;       // Orders idle workers by when they were last used.
  EventLoop::Timer idle_timer_;  // Retires a pool that has neither workers nor calls.
  EventLoop::Timer try_timer_;   // Until a program without a handshake counts as started.
  EventLoop::Timer kept_timer_;  // Starts workers again that failed to start.
  FunctionError start_error_;    // Of the last start that failed, and what it wrote.
  Logs start_logs_;
  int start_failures_ = 0;  // Without a success in between.
  MonotonicTime backoff_until_;
  bool kept_ = false;
  bool retired_ = false;
  bool stopping_ = false;
  bool ended_ = false;
};

}  // namespace penstock::executor
