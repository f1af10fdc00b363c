#include "services/function-executor/domain/classify.h"

#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "libs/base/status.h"

namespace penstock::executor {
namespace {

Outcome Failed(ErrorCategory category, const std::string& type, int http_status = 0) {
  Outcome outcome;
  outcome.error = FunctionError{category, type, "why", {}};
  outcome.http_status = http_status;
  return outcome;
}

TEST(ClassifyTest, ASuccessIsASuccess) {
  Outcome outcome;
  outcome.http_status = 204;
  const DeliveryVerdict verdict = Classify(outcome);
  EXPECT_EQ(verdict.outcome, DeliveryOutcome::kSucceeded);
  EXPECT_FALSE(verdict.error);
}

TEST(ClassifyTest, CategoriesDecideWhereThereIsNoStatus) {
  EXPECT_EQ(Classify(Failed(ErrorCategory::kInput, "ValueError")).outcome,
            DeliveryOutcome::kPermanent);
  EXPECT_EQ(Classify(Failed(ErrorCategory::kFunction, "KeyError")).outcome,
            DeliveryOutcome::kRetryable);
  for (const char* type : {"Timeout", "ConnectFailed", "Crashed", "EgressDenied", "Cancelled"}) {
    EXPECT_EQ(Classify(Failed(ErrorCategory::kSystem, type)).outcome, DeliveryOutcome::kRetryable)
        << type;
  }
}

TEST(ClassifyTest, HttpStatusesFollowTheDataPlaneTable) {
  const auto of = [](int status) {
    return Classify(Failed(ErrorCategory::kFunction, "HttpStatus", status)).outcome;
  };
  for (const int status : {404, 408, 409, 429, 500, 502, 503, 504, 599}) {
    EXPECT_EQ(of(status), DeliveryOutcome::kRetryable) << status;
  }
  for (const int status : {301, 302, 304, 401, 402, 403, 405, 410, 413, 415, 451}) {
    EXPECT_EQ(of(status), DeliveryOutcome::kPermanent) << status;
  }
  for (const int status : {400, 422}) {
    EXPECT_EQ(Classify(Failed(ErrorCategory::kInput, "HttpStatus", status)).outcome,
              DeliveryOutcome::kPermanent);
  }
}

TEST(ClassifyTest, ABusyDriverHasNotStartedTheCall) {
  const DeliveryVerdict verdict = Classify(Failed(ErrorCategory::kSystem, "Busy"));
  EXPECT_EQ(verdict.outcome, DeliveryOutcome::kRejected);
  ASSERT_TRUE(verdict.retry_after);
  EXPECT_GT(*verdict.retry_after, Microseconds(0));
  // A function may call its own error so.
  EXPECT_EQ(Classify(Failed(ErrorCategory::kFunction, "Busy")).outcome,
            DeliveryOutcome::kRetryable);
}

TEST(ClassifyTest, KeepsTheWaitThatABackEndAskedFor) {
  Outcome outcome = Failed(ErrorCategory::kFunction, "HttpStatus", 503);
  outcome.retry_after = Microseconds(7'000'000);
  EXPECT_EQ(Classify(outcome).retry_after, Microseconds(7'000'000));
}

TEST(ClassifyTest, SaysWhetherTheDeadlineHadPassed) {
  Outcome outcome = Failed(ErrorCategory::kSystem, "Timeout");
  EXPECT_FALSE(Classify(outcome).timed_out) << "the type may be a function's own";
  outcome.timed_out = true;
  EXPECT_TRUE(Classify(outcome).timed_out);
  EXPECT_TRUE(ClassifyRefusal(absl::DeadlineExceededError("")).timed_out);
  EXPECT_FALSE(ClassifyRefusal(absl::UnavailableError("")).timed_out);
}

TEST(ClassifyTest, RefusalsWereNotStartedButForFunctionsThatDoNotExist) {
  const DeliveryVerdict unknown = ClassifyRefusal(absl::NotFoundError("no function"));
  EXPECT_EQ(unknown.outcome, DeliveryOutcome::kRetryable);
  EXPECT_EQ(unknown.error->category, ErrorCategory::kSystem);
  EXPECT_EQ(unknown.error->type, "NotFound");

  EXPECT_EQ(ClassifyRefusal(FieldError("event", "is none")).outcome, DeliveryOutcome::kPermanent);

  const DeliveryVerdict full =
      ClassifyRefusal(WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Seconds(3)));
  EXPECT_EQ(full.outcome, DeliveryOutcome::kRejected);
  EXPECT_EQ(full.error->type, "Busy");
  EXPECT_EQ(full.retry_after, Microseconds(3'000'000));

  for (const absl::Status& status :
       {absl::UnavailableError(""), absl::CancelledError(""), absl::DeadlineExceededError(""),
        absl::FailedPreconditionError("")}) {
    const DeliveryVerdict verdict = ClassifyRefusal(status);
    EXPECT_EQ(verdict.outcome, DeliveryOutcome::kRejected) << status;
    EXPECT_TRUE(verdict.retry_after);
  }
}

}  // namespace
}  // namespace penstock::executor
