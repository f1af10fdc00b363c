// The middleware `idempotency`: one run for each key of the caller.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// The memory stays with the function over its versions.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeIdempotencyStep(StepSettings& settings,
                                                                      const StepContext& context);

}  // namespace penstock::executor
