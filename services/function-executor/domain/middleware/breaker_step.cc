#include "services/function-executor/domain/middleware/breaker_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "services/function-executor/domain/middleware/error_match.h"

namespace penstock::executor {
namespace {

// While the one call that decides is under way, nobody knows how long it takes.
constexpr Microseconds kProbeWait{1'000'000};

// Closed, open until a time, or half open with one call under way.
struct BreakerState {
  std::mutex mutex;
  int failures = 0;
  bool is_open = false;
  MonotonicTime open_until;
  bool is_probing = false;
};

class BreakerStep final : public Middleware {
 public:
  struct Options {
    int failures = 5;
    Microseconds open_for{10'000'000};
    CategorySet categories{{"FunctionError", "SystemError"}};
  };

  BreakerStep(Options options, const StepContext& context)
      : options_(std::move(options)),
        clock_(context.clock),
        state_(context.State<BreakerState>(StepContext::Scope::kVersion)) {}

  void Handle(const std::shared_ptr<Step>& step) const override {
    if (step->is_delivery()) return step->Skip();
    bool is_probe = false;
    if (const auto wait = Enter(&is_probe)) {
      return step->Finish(
          RefusedOutcome(absl::StatusCode::kUnavailable,
                         {ErrorCategory::kSystem,
                          "CircuitOpen",
                          "the function failed too often and is not called for a while (breaker)",
                          {}},
                         *wait));
    }
    step->Next([this, step, is_probe](Outcome outcome) {
      if (const char* effect = Leave(outcome, is_probe)) step->SetEffect(effect);
      step->Finish(std::move(outcome));
    });
  }

 private:
  // How long to stay away, or nothing.
  std::optional<Microseconds> Enter(bool* is_probe) const {
    const MonotonicTime now = clock_.Monotonic();
    const std::lock_guard lock(state_->mutex);
    if (!state_->is_open) return std::nullopt;
    if (state_->is_probing) return kProbeWait;
    if (now < state_->open_until) return state_->open_until - now;
    *is_probe = state_->is_probing = true;
    return std::nullopt;
  }

  // What that did to the breaker, or null.
  const char* Leave(const Outcome& outcome, bool is_probe) const {
    const bool is_failure = outcome.error && options_.categories.Has(outcome.error->category);
    const std::lock_guard lock(state_->mutex);
    if (is_probe) state_->is_probing = false;
    if (IsCancelled(outcome)) return nullptr;  // The next call decides.
    // Calls that began before it opened say nothing new.
    if (state_->is_open && !is_probe) return nullptr;
    if (!is_failure) {
      state_->failures = 0;
      return std::exchange(state_->is_open, false) ? "closed" : nullptr;
    }
    if (!is_probe && ++state_->failures < options_.failures) return nullptr;
    state_->failures = 0;
    state_->is_open = true;
    state_->open_until = clock_.Monotonic() + options_.open_for;
    return "opened";
  }

  const Options options_;
  const Clock& clock_;
  const std::shared_ptr<BreakerState> state_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Middleware>> MakeBreakerStep(StepSettings& settings,
                                                                  const StepContext& context) {
  BreakerStep::Options options;
  options.failures = static_cast<int>(settings.Integer("failures", options.failures));
  options.open_for = settings.Duration("openFor", options.open_for);
  if (settings.Has("categories")) options.categories = CategorySet(settings.Texts("categories"));
  return std::make_shared<const BreakerStep>(std::move(options), context);
}

}  // namespace penstock::executor
