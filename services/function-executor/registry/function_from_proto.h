// Functions as the function-manager announces them.
#pragma once

#include <penstock/functions/v1/function.pb.h>
#include <penstock/internal/v1/registry.pb.h>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/function_registry.h"

namespace penstock::executor {

// What `change` means for the registry: a function that is gone, or cannot be called (yet), has no
// spec. INVALID_ARGUMENT for a name that is none.
absl::StatusOr<FunctionUpdate> FunctionFromProto(const internal::v1::FunctionChange& change);

}  // namespace penstock::executor
