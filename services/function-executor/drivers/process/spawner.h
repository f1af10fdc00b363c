// Starts the process of a worker.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "services/function-executor/drivers/process/program.h"
#include "services/function-executor/drivers/process/unique_fd.h"

namespace penstock::executor {

// A child process and our ends of its pipes, all non-blocking.
struct SpawnedProcess {
  pid_t pid = -1;
  UniqueFd pidfd;    // Readable once the process has ended.
  UniqueFd input;    // Requests are written here.
  UniqueFd output;   // Answers are read here.
  UniqueFd out_log;  // Standard output; not valid when that is the answers' way.
  UniqueFd err_log;  // Standard error.
};

// Starts the launcher as `plan` says. Blocks until it runs. The worker is killed when the calling
// thread ends, so this must be a thread that lives as long as the workers.
absl::StatusOr<SpawnedProcess> SpawnProcess(const LaunchPlan& plan);

}  // namespace penstock::executor
