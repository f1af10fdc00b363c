#include "services/function-executor/domain/middleware/breaker_step.h"
#include "services/function-executor/domain/middleware/cache_step.h"
#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/domain/middleware/idempotency_step.h"
#include "services/function-executor/domain/middleware/log_step.h"
#include "services/function-executor/domain/middleware/rate_limit_step.h"
#include "services/function-executor/domain/middleware/retry_step.h"
#include "services/function-executor/domain/middleware/timeout_step.h"

namespace penstock::executor {

void AddBuiltinMiddleware(MiddlewareCatalog* catalog) {
  catalog->Add("timeout", MakeTimeoutStep);
  catalog->Add("retry", MakeRetryStep);
  catalog->Add("rate_limit", MakeRateLimitStep);
  catalog->Add("breaker", MakeBreakerStep);
  catalog->Add("cache", MakeCacheStep);
  catalog->Add("idempotency", MakeIdempotencyStep);
  catalog->Add("log", MakeLogStep);
}

}  // namespace penstock::executor
