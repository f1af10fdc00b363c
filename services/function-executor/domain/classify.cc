#include "services/function-executor/domain/classify.h"

#include <string>

#include "absl/time/time.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

// What a broker waits at least before it offers a refused attempt again.
constexpr Microseconds kRetryAfterRefusal{1'000'000};

// Knative's data plane contract, section "Event Acknowledgement and Delivery Retry", for all that
// is not 2xx. 408 stands under "other 4xx" there; Knative's own senders try it again, as do we.
DeliveryOutcome OfHttpStatus(int status) {
  const bool is_retryable =
      status >= 500 || status == 404 || status == 408 || status == 409 || status == 429;
  return is_retryable ? DeliveryOutcome::kRetryable : DeliveryOutcome::kPermanent;
}

FunctionError SystemError(std::string_view type, std::string_view message) {
  return {ErrorCategory::kSystem, std::string(type), std::string(message), {}};
}

}  // namespace

bool IsBusy(const Outcome& outcome) {
  return outcome.error && outcome.error->category == ErrorCategory::kSystem &&
         outcome.error->type == "Busy";
}

DeliveryVerdict Classify(const Outcome& outcome) {
  DeliveryVerdict verdict{DeliveryOutcome::kSucceeded, outcome.error, outcome.retry_after,
                          outcome.timed_out};
  if (!outcome.error) return verdict;
  if (IsBusy(outcome) || outcome.refusal == absl::StatusCode::kResourceExhausted) {
    verdict.outcome = DeliveryOutcome::kRejected;
    if (!verdict.retry_after) verdict.retry_after = kRetryAfterRefusal;
  } else if (outcome.error->category == ErrorCategory::kInput) {
    verdict.outcome = DeliveryOutcome::kPermanent;
  } else if (outcome.error->category == ErrorCategory::kFunction && outcome.http_status != 0) {
    verdict.outcome = OfHttpStatus(outcome.http_status);
  } else {
    verdict.outcome = DeliveryOutcome::kRetryable;
  }
  return verdict;
}

DeliveryVerdict ClassifyRefusal(const absl::Status& refusal) {
  const std::string_view message(refusal.message().data(), refusal.message().size());
  switch (refusal.code()) {
    case absl::StatusCode::kNotFound:
      return {DeliveryOutcome::kRetryable, SystemError("NotFound", message), std::nullopt, false};
    case absl::StatusCode::kInvalidArgument:
      return {DeliveryOutcome::kPermanent,
              FunctionError{ErrorCategory::kInput, "InvalidArgument", std::string(message), {}},
              std::nullopt, false};
    default: break;
  }
  std::string_view type = "Unavailable";
  if (refusal.code() == absl::StatusCode::kResourceExhausted) type = "Busy";
  if (refusal.code() == absl::StatusCode::kCancelled) type = "Cancelled";
  if (refusal.code() == absl::StatusCode::kDeadlineExceeded) type = "Timeout";
  if (refusal.code() == absl::StatusCode::kFailedPrecondition) type = "StaleEpoch";
  const absl::Duration asked = RetryAfterOf(refusal);
  const Microseconds wait = asked > absl::ZeroDuration()
                                ? Microseconds(absl::ToInt64Microseconds(asked))
                                : kRetryAfterRefusal;
  return {DeliveryOutcome::kRejected, SystemError(type, message), wait,
          absl::IsDeadlineExceeded(refusal)};
}

std::string_view CategoryName(ErrorCategory category) {
  switch (category) {
    case ErrorCategory::kInput: return "InputError";
    case ErrorCategory::kSystem: return "SystemError";
    case ErrorCategory::kFunction: break;
  }
  return "FunctionError";
}

}  // namespace penstock::executor
