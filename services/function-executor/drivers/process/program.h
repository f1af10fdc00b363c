// What a function's workers run: its files on disk, and the command line for its runtime.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/drivers/process/process_driver.h"
#include "services/function-executor/drivers/process/source_cache.h"

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

  // Writes source and bootstrap into the folder, once. `source` is what the function names by
  // digest; null when it names none. INVALID_ARGUMENT blames the function.
  absl::Status Prepare(const SourceCache::Held& source);

  // Deletes the folder.
  void Remove();

  // After Prepare.
  LaunchPlan Plan() const;

 private:
  const ProcessTarget& target() const;
  absl::Status CheckTarget() const;
  // Puts the function's code where its workers run it.
  absl::Status PlaceSource() const;
  // Gives the folder to the user whom workers run as.
  absl::Status GiveFolder() const;
  void AddLimits(LaunchPlan* plan) const;
  void AddIsolation(LaunchPlan* plan) const;
  std::vector<std::string> Command() const;
  // The current folder of the workers.
  const std::string& code_folder() const;

  const ProcessDriverOptions& options_;
  const std::shared_ptr<const FunctionSpec> function_;
  const std::string folder_;
  SourceCache::Held source_;  // Held as long as workers may run it.
  bool prepared_ = false;
};

// Deletes what drivers that were killed left below `work_dir`: folders made by Prepare, nothing
// else.
void RemoveLeftovers(const std::string& work_dir);

}  // namespace penstock::executor
