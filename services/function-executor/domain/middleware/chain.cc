#include "services/function-executor/domain/middleware/chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/function-executor/domain/middleware/batch_input.h"

namespace penstock::executor {

Outcome FailedOutcome(FunctionError error) {
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>();
  outcome.error = std::move(error);
  return outcome;
}

Outcome RefusedOutcome(absl::StatusCode code, FunctionError error, Microseconds retry_after) {
  Outcome outcome = FailedOutcome(std::move(error));
  outcome.refusal = code;
  if (retry_after > Microseconds(0)) outcome.retry_after = retry_after;
  return outcome;
}

Outcome TimedOut(std::string_view who) {
  Outcome outcome =
      FailedOutcome({ErrorCategory::kSystem,
                     "Timeout",
                     fmt::format("the call's time passed while the step {} had it", who),
                     {}});
  outcome.timed_out = true;
  return outcome;
}

Outcome CancelledOutcome() {
  return FailedOutcome({ErrorCategory::kSystem, "Cancelled", "the call was cancelled", {}});
}

Step::Step(std::shared_ptr<ChainRun> run, std::size_t place, std::shared_ptr<Step> outer)
    : run_(std::move(run)), place_(place), outer_(std::move(outer)) {}

const Invocation& Step::call() const { return run_->call_; }

bool Step::Take(Holder from, Holder to) { return holder_.compare_exchange_strong(from, to); }

void Step::SetInput(Bytes payload, std::string content_type) {
  is_changed_ = is_changed_ || payload != payload_ || content_type != content_type_;
  payload_ = std::move(payload);
  content_type_ = std::move(content_type);
}

void Step::ShortenDeadline(MonotonicTime deadline) { deadline_ = std::min(deadline_, deadline); }

void Step::OnCancel(std::function<void()> hook) { run_->SetHook(std::move(hook)); }

void Step::Record(StepPhase phase, std::string_view seen) {
  const Chain::Link& link = run_->chain_->links()[place_];
  const MonotonicTime now = run_->clock_.Monotonic();
  StepRecord record{link.name, phase, now - since_, std::move(effect_), link.is_of_space};
  if (record.effect.empty()) record.effect = seen;
  effect_.clear();
  std::replace_if(
      record.effect.begin(), record.effect.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  const std::lock_guard lock(run_->mutex_);
  if (run_->records_.size() < ChainRun::kRecordsMax) run_->records_.push_back(std::move(record));
}

void Step::Next(After after) {
  if (!Take(Holder::kThis, Holder::kInner)) return;
  run_->SetHook({});
  after_ = std::move(after);
  // A further attempt is part of what the step does with the answer.
  if (!std::exchange(has_gone_on_, true)) {
    Record(StepPhase::kBefore, is_changed_ ? "changed" : "passed");
  }
  if (run_->is_cancelled()) return Return(CancelledOutcome());
  run_->Enter(place_ + 1, payload_, content_type_, deadline_, shared_from_this());
}

void Step::Skip() {
  SetEffect("skipped");
  Next();
}

void Step::Return(Outcome outcome) {
  if (!Take(Holder::kInner, Holder::kThis)) return;
  if (outcome.payload == nullptr) outcome.payload = std::make_shared<const std::string>();
  // The first return begins the phase; those of further attempts belong to it.
  if (returned_ == nullptr) since_ = run_->clock_.Monotonic();
  returned_ = outcome.payload;
  returned_type_ = outcome.content_type;
  has_returned_error_ = outcome.error.has_value();
  // What it captures may be this step itself: it goes with this call.
  const After after = std::move(after_);
  after_ = {};
  if (after) return after(std::move(outcome));
  holder_ = Holder::kDone;
  outer_ ? outer_->Return(std::move(outcome)) : run_->End(std::move(outcome));
}

void Step::Finish(Outcome outcome) {
  if (!Take(Holder::kThis, Holder::kDone)) return;
  run_->SetHook({});
  if (!has_gone_on_) {
    Record(StepPhase::kBefore, outcome.error ? "refused" : "answered");
  } else {
    const bool is_same = outcome.payload == returned_ && outcome.content_type == returned_type_ &&
                         outcome.error.has_value() == has_returned_error_;
    Record(StepPhase::kAfter, is_same ? "passed" : "changed");
  }
  outer_ ? outer_->Return(std::move(outcome)) : run_->End(std::move(outcome));
}

ChainRun::ChainRun(std::shared_ptr<const Chain> chain, Invocation call, const Clock& clock,
                   Drive drive, Done done)
    : chain_(std::move(chain)),
      call_(std::move(call)),
      clock_(clock),
      drive_(std::move(drive)),
      done_(std::move(done)) {}

void ChainRun::Start() { Enter(0, call_.payload, call_.content_type, call_.deadline, nullptr); }

void ChainRun::Enter(std::size_t place, const Bytes& payload, const std::string& content_type,
                     MonotonicTime deadline, std::shared_ptr<Step> outer) {
  if (place == chain_->links().size()) return CallFunction(payload, content_type, deadline, outer);
  const std::shared_ptr<Step> step(new Step(shared_from_this(), place, std::move(outer)));
  step->payload_ = payload;
  step->content_type_ = content_type;
  step->deadline_ = deadline;
  step->since_ = clock_.Monotonic();
  chain_->links()[place].middleware->Handle(step);
}

void ChainRun::CallFunction(const Bytes& payload, const std::string& content_type,
                            MonotonicTime deadline, const std::shared_ptr<Step>& outer) {
  Invocation invocation = call_;
  if (call_.batch != nullptr && payload != call_.payload) {
    auto batch = ReadBatchInput(*call_.batch, *payload);
    if (!batch.ok()) {
      return outer->Return(FailedOutcome(
          {ErrorCategory::kSystem, "InvalidBatch", std::string(batch.status().message()), {}}));
    }
    invocation.batch = *std::move(batch);
  }
  invocation.payload = payload;
  invocation.content_type = content_type;
  invocation.deadline = deadline;
  invocation.deadline_wall -= call_.deadline - deadline;
  drive_(std::move(invocation), [outer](Outcome outcome) { outer->Return(std::move(outcome)); });
}

void ChainRun::End(Outcome outcome) {
  const Done done = std::move(done_);
  done(std::move(outcome));
}

void ChainRun::SetHook(std::function<void()> hook) {
  std::function<void()> replaced;  // Destroyed without the lock.
  bool is_cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    is_cancelled = cancelled_ && hook;
    replaced = std::move(hook_);
    hook_ = is_cancelled ? nullptr : hook;
  }
  if (is_cancelled) hook();
}

void ChainRun::Cancel() {
  std::function<void()> hook;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(cancelled_, true)) return;
    hook = std::move(hook_);
    hook_ = nullptr;
  }
  if (hook) hook();
}

bool ChainRun::is_cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

std::vector<StepRecord> ChainRun::Records() const {
  const std::lock_guard lock(mutex_);
  return records_;
}

}  // namespace penstock::executor
