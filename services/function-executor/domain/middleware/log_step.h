// The middleware `log`: what records keep.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// Counts for each record, wherever it stands and however far the call came.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeLogStep(StepSettings& settings,
                                                              const StepContext& context);

}  // namespace penstock::executor
