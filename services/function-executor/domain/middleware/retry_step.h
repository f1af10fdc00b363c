// The middleware `retry`: further attempts at calls that fail.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// Waits by timers between them, and tries nothing that would begin after the deadline.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeRetryStep(StepSettings& settings,
                                                                const StepContext& context);

}  // namespace penstock::executor
