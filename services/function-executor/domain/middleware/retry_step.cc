#include "services/function-executor/domain/middleware/retry_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "services/function-executor/domain/middleware/error_match.h"

namespace penstock::executor {
namespace {

class RetryStep final : public Middleware {
 public:
  struct Options {
    int attempts_max = 3;
    Microseconds backoff_initial{100'000};
    Microseconds backoff_max{10'000'000};
    CategorySet categories{{"SystemError"}};
    std::vector<std::int64_t> http_statuses;
  };

  RetryStep(Options options, const StepContext& context)
      : options_(std::move(options)),
        timers_(context.timers),
        clock_(context.clock),
        random_(context.random) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (step->is_delivery()) return step->Skip();
    Try(step, 1);
  }

 private:
  void Try(const std::shared_ptr<Step>& step, int attempt) const {
    step->Next(
        [this, step, attempt](Outcome outcome) { OnAnswer(step, attempt, std::move(outcome)); });
  }

  void OnAnswer(const std::shared_ptr<Step>& step, int attempt, Outcome outcome) const {
    const Microseconds wait = WaitAfter(attempt, outcome);
    const bool is_last = attempt == options_.attempts_max || !IsRetryable(outcome) ||
                         clock_.Monotonic() + wait >= step->deadline();
    if (is_last) {
      if (attempt > 1) step->SetEffect(fmt::format("retried {}", attempt - 1));
      return step->Finish(std::move(outcome));
    }
    // The hook keeps the step while it waits, so that a cancelled one does not live as long as the
    // timer.
    step->OnCancel([step, attempt] {
      if (attempt > 1) step->SetEffect(fmt::format("retried {}", attempt - 1));
      step->Finish(CancelledOutcome());
    });
    timers_.RunAfter(wait, [this, weak = std::weak_ptr<Step>(step), attempt] {
      if (const auto alive = weak.lock()) Try(alive, attempt + 1);
    });
  }

  bool IsRetryable(const Outcome& outcome) const {
    if (!outcome.error || IsCancelled(outcome)) return false;
    if (outcome.refusal == absl::StatusCode::kUnimplemented) return false;
    return options_.categories.Has(outcome.error->category) ||
           std::find(options_.http_statuses.begin(), options_.http_statuses.end(),
                     outcome.http_status) != options_.http_statuses.end();
  }

  // Between half and all of the backoff, so that callers that failed together do not come together.
  Microseconds WaitAfter(int attempt, const Outcome& outcome) const {
    Microseconds backoff = options_.backoff_initial;
    for (int i = 1; i < attempt && backoff < options_.backoff_max; ++i) backoff *= 2;
    backoff = std::min(backoff, options_.backoff_max);
    const auto spread =
        static_cast<std::int64_t>(static_cast<double>(backoff.count()) * (0.5 + 0.5 * random_()));
    return std::max(Microseconds(spread), outcome.retry_after.value_or(Microseconds(0)));
  }

  const Options options_;
  Timers& timers_;
  const Clock& clock_;
  const std::function<double()> random_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeRetryStep(StepSettings& settings,
                                                                const StepContext& context) {
  RetryStep::Options options;
  options.attempts_max = static_cast<int>(settings.Integer("maxAttempts", options.attempts_max));
  options.backoff_initial = settings.Duration("initialBackoff", options.backoff_initial);
  options.backoff_max = settings.Duration("maxBackoff", options.backoff_max);
  options.http_statuses = settings.Integers("httpStatuses");
  if (settings.Has("categories") || !options.http_statuses.empty()) {
    options.categories = CategorySet(settings.Texts("categories"));
  }
  return std::make_shared<const RetryStep>(std::move(options), context);
}

}  // namespace penstock::executor
