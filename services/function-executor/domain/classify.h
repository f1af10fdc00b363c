// What a broker makes of an outcome: the table in this service's README.md.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

enum class DeliveryOutcome {
  kSucceeded,
  kRetryable,  // Failed; consumes an attempt.
  kPermanent,  // Failed, and would again.
  kRejected,   // Provably not started; consumes no attempt.
};

struct DeliveryVerdict {
  DeliveryOutcome outcome = DeliveryOutcome::kSucceeded;
  std::optional<FunctionError> error;  // Set unless it succeeded.
  std::optional<Microseconds> retry_after;
  bool timed_out = false;  // The deadline passed.
};

// How a run that a driver answered ended.
DeliveryVerdict Classify(const Outcome& outcome);

// How a call ended that no driver was given. `refusal` is not OK.
DeliveryVerdict ClassifyRefusal(const absl::Status& refusal);

// True when a driver says that it had no room and did not start the call.
bool IsBusy(const Outcome& outcome);

// "InputError", "FunctionError" or "SystemError".
std::string_view CategoryName(ErrorCategory category);

}  // namespace penstock::executor
