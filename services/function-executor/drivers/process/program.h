// What a function's workers run: its files on disk, and the command line for its runtime.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/drivers/process/process_driver.h"

namespace penstock::executor {

// How a worker is started.
struct LaunchPlan {
  std::vector<std::string> arguments;    // The launcher's, its own path first.
  std::vector<std::string> environment;  // "NAME=value".
  // True when requests and answers have descriptors of their own (3 and 4) and the worker announces
  // itself; false when it speaks on standard input and output.
  bool private_channel = false;
};

// The folder of one function version and the way to start its workers.
// Files are touched by Prepare and Remove only, which block and must run on one thread.
class Program {
 public:
  // `options` has a work_dir and launcher_path and must outlive this object.
  Program(const ProcessDriverOptions& options, std::shared_ptr<const FunctionSpec> function);

  // Writes source and bootstrap into the folder, once. INVALID_ARGUMENT blames the function.
  absl::Status Prepare();

  // Deletes the folder.
  void Remove();

  // Works also before Prepare.
  LaunchPlan Plan() const;

 private:
  const ProcessTarget& target() const;

  const ProcessDriverOptions& options_;
  const std::shared_ptr<const FunctionSpec> function_;
  const std::string folder_;
  bool prepared_ = false;
};

// Deletes what drivers that were killed left below `work_dir`: folders made by Prepare, nothing
// else.
void RemoveLeftovers(const std::string& work_dir);

}  // namespace penstock::executor
