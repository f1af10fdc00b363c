// The middleware `rate_limit`: a limit of calls by time.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// A token bucket for each key; of a step of a space, one set for the space.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeRateLimitStep(StepSettings& settings,
                                                                    const StepContext& context);

}  // namespace penstock::executor
