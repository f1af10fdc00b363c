#include "services/function-executor/domain/middleware/timeout_step.h"

#include <utility>

namespace penstock::executor {
namespace {

class TimeoutStep final : public Middleware {
 public:
  TimeoutStep(Microseconds timeout, const Clock& clock) : timeout_(timeout), clock_(clock) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    const MonotonicTime limit = clock_.Monotonic() + timeout_;
    // The call's own limit comes first, and is the one that counts.
    if (step->deadline() <= limit) return step->Next();
    step->ShortenDeadline(limit);
    step->Next([step](Outcome outcome) {
      if (outcome.timed_out) step->SetEffect("timed out");
      step->Finish(std::move(outcome));
    });
  }

 private:
  const Microseconds timeout_;
  const Clock& clock_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeTimeoutStep(StepSettings& settings,
                                                                  const StepContext& context) {
  const Microseconds timeout = settings.Duration("timeout", Microseconds(0));
  if (timeout <= Microseconds(0)) return absl::InvalidArgumentError("timeout: is required");
  return std::make_shared<const TimeoutStep>(timeout, context.clock);
}

}  // namespace penstock::executor
