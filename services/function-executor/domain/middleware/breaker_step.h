// The middleware `breaker`: a pause for a function that fails.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// Each version has its own, so a new one starts unburdened.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeBreakerStep(StepSettings& settings,
                                                                  const StepContext& context);

}  // namespace penstock::executor
