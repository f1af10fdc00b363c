// One worker process of the pool, and the transformation that it has.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "libs/base/time.h"
#include "services/function-executor/drivers/process/event_loop.h"
#include "services/function-executor/drivers/process/spawner.h"
#include "services/function-executor/drivers/process/worker_process.h"
#include "services/function-executor/middleware/transform/jq_pool.h"

namespace penstock::executor {

// A transformation that waits or runs. On the pool's thread.
struct JqJob {
  std::shared_ptr<const std::string> program;
  std::shared_ptr<const std::string> input;
  MonotonicTime deadline;
  JqPool::Done done;
  std::optional<EventLoop::Timer> deadline_timer;  // Until it is answered.
  bool is_second_try = false;

  // The first answer counts.
  void Finish(JqResult::Kind kind, std::string text = {}) {
    if (!done) return;
    deadline_timer.reset();
    const JqPool::Done run = std::exchange(done, nullptr);
    run({kind, std::move(text)});
  }
};

// Speaks with a penstock-jq (tools/penstock-jq/README.md). On the event loop's thread alone.
class JqWorker final : public WorkerProcess::Listener {
 public:
  struct Services {
    const JqPoolOptions& options;
    const Clock& clock;
    EventLoop& loop;
    // A job has ended; `at_limit` when a limit stopped its program. The worker may be idle now.
    std::function<void(const std::string& program, bool at_limit)> on_job_ended;
    // The process ended through no fault of the job, which can go to another one.
    std::function<void(std::shared_ptr<JqJob>)> on_blameless;
    // The process has ended. It may drop the worker, in a task of its own.
    std::function<void(JqWorker*)> on_exit;
  };

  // UNAVAILABLE when the process does not start.
  static absl::StatusOr<std::shared_ptr<JqWorker>> Start(const std::string& path,
                                                         const Services& services);

  JqWorker(const Services& services, SpawnedProcess process);

  // True when Take may be called.
  bool idle() const { return job_ == nullptr && !is_ending_; }
  bool knows(const std::string& program) const { return known_.contains(program); }
  bool has(const JqJob& job) const { return job_.get() == &job; }
  bool runs(const std::string& program) const {
    return job_ != nullptr && *job_->program == program;
  }

  void Take(std::shared_ptr<JqJob> job);
  // Nobody waits for the result of its job any more. It is killed when it goes on for long; not
  // while it compiles the program, of which the next call has the use.
  void Hurry();
  // Kills the process; its job, if any, ends with kUnavailable.
  void Stop();

  void OnLine(std::string line, bool more) override;
  void OnLineTooLong() override;
  void OnExit() override;

 private:
  void LimitRun();
  void OnTimeOver();
  void EndJob(JqResult::Kind kind, std::string text, bool at_limit);
  void Kill();

  const Services& services_;
  EventLoop::Timer timer_;
  const std::shared_ptr<WorkerProcess> process_;
  std::shared_ptr<JqJob> job_;
  std::unordered_set<std::string> known_;  // Programs that it has compiled, and likely still has.
  int runs_ = 0;
  bool is_compiling_ = false;
  bool is_hurried_ = false;
  bool is_ending_ = false;
};

}  // namespace penstock::executor
