// The middleware `timeout`: a limit for everything behind it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// Shortens the deadline, which the function and the other steps keep by themselves.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeTimeoutStep(StepSettings& settings,
                                                                  const StepContext& context);

}  // namespace penstock::executor
