#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/domain/middleware/timeout_step.h"

namespace penstock::executor {

void AddBuiltinMiddleware(MiddlewareCatalog* catalog) { catalog->Add("timeout", MakeTimeoutStep); }

}  // namespace penstock::executor
