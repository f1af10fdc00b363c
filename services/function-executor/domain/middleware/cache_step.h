// The middleware `cache`: answers that are used again.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/middleware/catalog.h"

namespace penstock::executor {

// Each version has its own: another may answer otherwise.
absl::StatusOr<std::shared_ptr<const Middleware>> MakeCacheStep(StepSettings& settings,
                                                                const StepContext& context);

}  // namespace penstock::executor
