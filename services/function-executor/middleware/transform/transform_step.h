// The middleware `transform`: jq programs on what a function is given and answers.
#pragma once

#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/middleware/transform/jq_pool.h"

namespace penstock::executor {

// Registers the kind `transform`. `pool` must outlive the chains of `catalog`.
void AddTransformMiddleware(JqPool& pool, MiddlewareCatalog* catalog);

}  // namespace penstock::executor
