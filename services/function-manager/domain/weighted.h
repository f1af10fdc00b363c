// The rules for functions that split calls over others.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// The weighted functions, with the version, by which calls can come to `name`.
absl::StatusOr<std::vector<std::string>> SplitsHolding(FunctionReader& reader,
                                                       const FunctionName& name);

// INVALID_ARGUMENT naming the targets of a weighted `spec` that are not there, or are weighted too;
// FAILED_PRECONDITION when `name`, which is to become weighted, is itself a target.
absl::Status CheckWeightedTargets(FunctionReader& reader, const FunctionName& name,
                                  const FunctionSpec& spec);

}  // namespace penstock::functions
