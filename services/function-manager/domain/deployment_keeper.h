// Whether versions start, as executors found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

inline constexpr std::size_t kStateReasonBytesMax = 1024;

// What one executor found of one version.
struct DeploymentReport {
  std::string function;  // Its name.
  std::string uid;
  std::int64_t version = 0;
  FunctionState state = FunctionState::kDeploying;
  std::string reason;  // Of kFailed; what is above kStateReasonBytesMax is cut off.
};

// Never blocks; thread-safe. `store` must outlive it and the calls that run.
class DeploymentKeeper {
 public:
  explicit DeploymentKeeper(FunctionStore& store) : store_(store) {}

  // Gives the version's state after that: it is ready once one executor has started it, whatever
  // the others find. NOT_FOUND when it is gone.
  void Report(DeploymentReport report, std::function<void(absl::StatusOr<FunctionState>)> done);

 private:
  FunctionStore& store_;
};

}  // namespace penstock::functions
