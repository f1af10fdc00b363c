// Runs jq programs in worker processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "libs/base/time.h"

namespace penstock::executor {

struct JqPoolOptions {
  // Empty: "penstock-jq" beside the running executable, or in "../bin" from there.
  std::string worker_path;
  int workers_max = 2;
  // Transformations that may wait for a worker.
  std::size_t queue_max = 1024;
  // The address space of a worker.
  std::int64_t memory_bytes_max = 256LL << 20;
  // Of one transformation; compiling its program, the first time in a worker, has its own limit.
  Microseconds run_time_max{1'000'000};
  Microseconds compile_time_max{5'000'000};
  std::size_t output_bytes_max = 1U << 20;
  // A worker ends after so many, so that what libjq leaks is bounded.
  int runs_per_worker_max = 10'000;
  // A program that was stopped by a limit gets all workers but one, and at least one, for so long.
  Microseconds mistrust_time{10'000'000};
};

struct JqResult {
  enum class Kind {
    kOutput,   // `text` is the value that came out, as JSON.
    kNotJson,  // The input is not one JSON value; `text` says why.
    kFailed,   // The program raised an error, or gave no value or several; or it does not
               // compile. `text` says what.
    kOutputTooLarge,
    kRunTooLong,  // It hit run_time_max (or compile_time_max).
    kOutOfMemory,
    kCrashed,      // `text` says how the worker ended.
    kDeadline,     // The call's deadline passed.
    kBusy,         // The queue is full.
    kUnavailable,  // The pool stopped, or no worker can be started; `text` says which.
  };
  Kind kind = Kind::kUnavailable;
  std::string text;
};

// Gives each transformation to an idle worker, starting one below `workers_max`, or lets it wait.
// One that hangs, wants too much memory or crashes ends its worker, which is replaced: it harms no
// other, but for the worker's time.
//
// Thread-safe; one thread of its own, which also starts the workers, because they die with the
// thread that started them. Nothing runs before the first transformation.
class JqPool {
 public:
  using Options = JqPoolOptions;
  using Done = std::function<void(JqResult)>;

  // `clock` must outlive this object and run at the pace of real time.
  JqPool(Options options, const Clock& clock);
  // Stops as Stop() does.
  ~JqPool();
  JqPool(const JqPool&) = delete;
  JqPool& operator=(const JqPool&) = delete;

  // Runs `program` on `input`; neither is null. `done` runs once, on the pool's thread (in this
  // call when the pool has stopped), at the latest a moment after `deadline`; it must not block.
  void Run(std::shared_ptr<const std::string> program, std::shared_ptr<const std::string> input,
           MonotonicTime deadline, Done done);

  // Kills the workers; what runs or waits ends with kUnavailable. Idempotent, blocks until all
  // ended. Not from `done`.
  void Stop();

  // Worker processes alive now. For tests.
  int workers() const;

 private:
  class Core;
  const std::unique_ptr<Core> core_;
};

}  // namespace penstock::executor
