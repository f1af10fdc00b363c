// Who is told about calls, to count them.
#pragma once

#include <string_view>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

enum class CallResult {
  kSucceeded,
  kInputError,
  kFunctionError,
  kSystemError,
  kRefused,  // No driver ran it.
};

// Thread-safe; must not block.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // A driver was given a call; OnEnd follows.
  virtual void OnStart() = 0;
  virtual void OnEnd(TriggerKind trigger, CallResult result, Microseconds duration) = 0;
  // What a function emitted with its answer; not empty.
  virtual void OnMetrics(const FunctionSpec& function,
                         const std::vector<FunctionMetric>& metrics) = 0;
  // No driver was given the call.
  virtual void OnRefused(TriggerKind trigger) = 0;
  // The number of calls that wait for their function's concurrency limit changed by `by`.
  virtual void OnQueued(int by) = 0;
};

}  // namespace penstock::executor
