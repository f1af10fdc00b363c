// The part of a call that is about its record.
#include <algorithm>
#include <optional>
#include <utility>

#include "services/function-executor/domain/classify.h"
#include "services/function-executor/domain/invoker_run.h"
#include "services/function-executor/domain/redactor.h"

namespace penstock::executor {
namespace {

CallResult ResultOf(const Outcome& outcome) {
  if (!outcome.error) return CallResult::kSucceeded;
  switch (outcome.error->category) {
    case ErrorCategory::kInput: return CallResult::kInputError;
    case ErrorCategory::kSystem: return CallResult::kSystemError;
    case ErrorCategory::kFunction: break;
  }
  return CallResult::kFunctionError;
}

}  // namespace

void Invoker::Run::AddStep(std::string_view name, StepPhase phase, std::string_view effect,
                           MonotonicTime since) {
  const Microseconds duration = invoker_.parts_.clock.Monotonic() - since;
  const std::lock_guard lock(mutex_);
  record_.steps.push_back({std::string(name), phase, duration, std::string(effect), false});
}

void Invoker::Run::End(Outcome outcome) {
  if (!TakeEnd()) return;
  const Parts& parts = invoker_.parts_;
  // What a function is trusted with does not go on in its logs and errors.
  std::optional<Redactor> redactor;
  if (secrets_ != nullptr || signing_ != nullptr) redactor.emplace(secrets_.get(), signing_.get());
  if (redactor) redactor->CleanWords(&outcome);
  const Microseconds duration = parts.clock.Monotonic() - started_;
  parts.observer.OnEnd(order_.trigger, ResultOf(outcome), duration);
  if (!outcome.metrics.empty()) parts.observer.OnMetrics(*function_, outcome.metrics);
  auto result = std::make_shared<InvokeResult>();
  result->function_version = function_->version;
  result->duration = duration;
  result->outcome = std::move(outcome);
  const bool is_refused = result->outcome.refusal != absl::StatusCode::kOk;
  if (IsBusy(result->outcome) ||
      (is_refused && !parts.journal.TakesRefusal(record_.space, record_.function))) {
    // It was not started, so there is nothing to tell of it: a record for each refusal would push
    // those of real runs out.
    invoker_.Remove(record_.id);
    LeaveGate();
    const Done done = std::move(done_);
    return done(std::move(*result));
  }
  result->execution_id = record_.id;
  std::optional<Outcome> recorded;
  if (redactor) recorded = redactor->ForRecord(result->outcome);
  ExecutionRecord record = record_;
  record.duration = duration;
  record.driver = Microseconds(driver_micros_);
  // A call may end while the function still runs.
  record.middleware = std::max(Microseconds(0), duration - record.driver);
  Bytes input = order_.payload;
  std::string input_type = order_.content_type;
  if (chain_ != nullptr) {
    if (!recorded) recorded = result->outcome;
    RecordBodies bodies = BodiesFor(&*recorded);
    chain_->ShapeRecord(&bodies);
    input = std::move(bodies.input);
    input_type = std::move(bodies.input_type);
    recorded->payload = std::move(bodies.output);
    recorded->content_type = std::move(bodies.output_type);
    if (!bodies.keeps_logs) recorded->logs = {};
  }
  parts.journal.End(std::move(record), input, input_type, recorded ? *recorded : result->outcome,
                    order_.event_is_call, [self = shared_from_this(), result] {
                      self->invoker_.Remove(self->record_.id);
                      self->LeaveGate();
                      const Done done = std::move(self->done_);
                      done(std::move(*result));
                    });
}

RecordBodies Invoker::Run::BodiesFor(const Outcome* outcome) const {
  RecordBodies bodies;
  bodies.input = order_.payload;
  bodies.input_type = order_.content_type;
  bodies.is_batch = order_.batch != nullptr;
  if (outcome == nullptr) return bodies;
  bodies.output = outcome->payload;
  bodies.output_type = outcome->content_type;
  bodies.has_failed = outcome->error.has_value();
  return bodies;
}

ExecutionRecord Invoker::Run::Snapshot() const {
  ExecutionRecord record;
  std::shared_ptr<ChainRun> chain_run;
  {
    const std::lock_guard lock(mutex_);
    record = record_;
    chain_run = chain_run_;
  }
  if (chain_run != nullptr) {
    for (StepRecord& step : chain_run->Records()) record.steps.push_back(std::move(step));
  }
  record.duration = invoker_.parts_.clock.Monotonic() - started_;
  RecordBodies bodies = BodiesFor(nullptr);
  if (chain_ != nullptr) chain_->ShapeRecord(&bodies);
  record.input =
      RecordBody(bodies.input, bodies.input_type, invoker_.parts_.journal.options().body_bytes_max);
  return record;
}

bool Invoker::Run::Matches(const ExecutionQuery& query) const {
  return executor::Matches(record_, query);
}

}  // namespace penstock::executor
