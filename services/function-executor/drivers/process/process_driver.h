// Runs functions as local worker processes: Python, Node, or any executable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/deployments.h"
#include "services/function-executor/ports/driver.h"
#include "services/function-executor/ports/source_fetcher.h"

namespace penstock::executor {

// How the process driver runs its workers. Limits of one function are in its ProcessTarget.
struct ProcessDriverOptions {
  // A folder of the driver's own, made when missing. Leftovers of an earlier run are removed.
  std::string work_dir;
  // Empty means "penstock-launch" beside the running executable, or in "../bin" from there.
  std::string launcher_path;
  // Programs for "python3" and "node": an absolute path, or a name to be found in /usr/bin or PATH.
  std::string python = "python3";
  std::string node = "node";
  // Calls of one function version that may wait for a worker; one more gets "Busy".
  int queue_max = 256;
  // A worker ends after so many calls, so that what a function leaks is bounded.
  int calls_per_worker_max = 10'000;
  // Loading a function's source may take so long.
  Microseconds start_timeout{10'000'000};
  // A program without a handshake that has run for so long counts as started.
  Microseconds start_grace{500'000};
  // After a failed start, calls get its error at once until this delay, doubled each time, has
  // passed.
  Microseconds backoff_initial{1'000'000};
  Microseconds backoff_max{30'000'000};
  // What a worker that was asked to end gets before it is killed.
  Microseconds exit_grace{2'000'000};
  // Log text kept of one call, and of one line.
  std::size_t log_bytes_max = 64U << 10;
  std::size_t log_line_bytes_max = 8U << 10;
  // Open files of one worker, unless its function says otherwise.
  int files_max = 1024;
  // Where sources that functions name by digest come from; null: they cannot run. Must outlive the
  // driver, which stops it.
  SourceFetcher* sources = nullptr;
  // What may stay of sources that no worker uses, for the next that does.
  std::int64_t unused_source_bytes_max = std::int64_t{1} << 30;
  // The user whom workers run as, when the executor may choose (it is root); empty: its own. The
  // numbers are those of `user`, its groups none but `group_id`.
  std::string user;
  std::uint32_t user_id = 0;
  std::uint32_t group_id = 0;
};

// The `process` driver (README.md tells how workers live and what they speak).
//
// Thread-safe. Two threads of its own: an event loop with all state and pipes, and one that starts
// processes and writes files, because both block and because workers die with the thread that
// started them. `done` runs on the event loop (or in Start when the driver has stopped) and must
// not block.
class ProcessDriver final : public Driver {
 public:
  using Options = ProcessDriverOptions;

  // `clock` must outlive this object and run at the pace of real time.
  ProcessDriver(Options options, const Clock& clock);
  // Stops as Stop() does.
  ~ProcessDriver() override;

  ProcessDriver(const ProcessDriver&) = delete;
  ProcessDriver& operator=(const ProcessDriver&) = delete;

  // Runs `invocation`, whose function must have a ProcessTarget.
  std::shared_ptr<Call> Start(Invocation invocation, Done done) override;

  // Keeps ProcessTarget::workers_min workers of each of `versions`, which are all of the same
  // function, `uid`, and no longer of its other versions. Never blocks.
  void Keep(const std::string& uid, std::vector<std::shared_ptr<const FunctionSpec>> versions);

  // Starts a worker of `function`, which must have a ProcessTarget, unless one is ready, and gives
  // what comes of it; the worker then serves calls. A program without a handshake counts as started
  // when it has run for a moment. `done` is called as that of Start.
  void TryStart(std::shared_ptr<const FunctionSpec> function,
                std::function<void(StartOutcome)> done);

  // Lets calls of versions of `uid` below `version` finish, then ends their workers and removes
  // their folders.
  void Forget(const std::string& uid, std::int64_t version) override;

  // Kills all workers; calls in flight end with "Unavailable". All folders are removed on return.
  void Stop() override;

  // Worker processes alive now, those being started or ended included. For metrics and tests.
  int workers() const;

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace penstock::executor
