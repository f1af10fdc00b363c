#include "services/function-executor/domain/invoker_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "services/function-executor/domain/middleware/middleware.h"

namespace penstock::executor {
namespace {

constexpr absl::Duration kRetryAfterFull = absl::Seconds(1);

Outcome ProcessDisabled() {
  return FailedOutcome({ErrorCategory::kSystem,
                        "Disabled",
                        "process functions are switched off here (process.enabled)",
                        {}});
}

}  // namespace

Invoker::Run::Run(Invoker& invoker, InvokeOrder order, Done done)
    : invoker_(invoker),
      order_(std::move(order)),
      done_(std::move(done)),
      arrival_(invoker.parts_.clock.Monotonic()),
      deadline_(MonotonicTime::max()) {
  if (order_.timeout)
    deadline_ = arrival_ + std::min(*order_.timeout, Microseconds(86'400'000'000));
}

Microseconds Invoker::Run::TimeLeft() const {
  return deadline_ - invoker_.parts_.clock.Monotonic();
}

void Invoker::Run::Begin() {
  FunctionRegistry& registry = invoker_.parts_.registry;
  if (!invoker_.accepting_) {
    return Refuse(WithReason(absl::UnavailableError("the executor is stopping"), "DRAINING"));
  }
  if (order_.min_revision <= 0 || registry.Has(order_.min_revision)) {
    OnRevisionKnown(absl::OkStatus());
    return;
  }
  const Microseconds limit = std::min(invoker_.options_.revision_wait_max, TimeLeft());
  registry.WaitFor(
      order_.min_revision, limit,
      [self = shared_from_this()](const absl::Status& status) { self->OnRevisionKnown(status); });
}

void Invoker::Run::OnRevisionKnown(const absl::Status& status) {
  if (!status.ok()) return Refuse(status);
  FunctionRegistry& registry = invoker_.parts_.registry;
  if (order_.instead) {
    const auto* const http = std::get_if<HttpTarget>(&order_.instead->target);
    if (http == nullptr || http->signing_secret.empty()) return EnterGate(order_.instead);
    if (absl::Status ready = registry.Ready(); !ready.ok()) return Refuse(std::move(ready));
    auto signing = registry.SigningSecret(order_.space, order_.function, http->signing_secret);
    if (!signing.ok()) return Refuse(signing.status());
    signing_ = *std::move(signing);
    return EnterGate(order_.instead);
  }
  if (absl::Status ready = registry.Ready(); !ready.ok()) return Refuse(std::move(ready));
  auto function = registry.Resolve({order_.space, order_.function, order_.tag, order_.sticky_key});
  if (!function.ok()) return Refuse(function.status());
  secrets_ = std::move(function->secrets);
  signing_ = std::move(function->signing);
  chain_ = std::move(function->chain);
  if (function->split != nullptr) order_.function = function->spec->id;
  EnterGate(std::move(function->spec));
}

void Invoker::Run::EnterGate(std::shared_ptr<const FunctionSpec> function) {
  function_ = std::move(function);
  deadline_ = std::min(deadline_, arrival_ + function_->timeout);
  if (TimeLeft() <= Microseconds(0)) {
    return Refuse(absl::DeadlineExceededError("the call's time had passed before it began"));
  }
  if (function_->concurrency_max <= 0) return StartRun();
  has_slot_ = true;
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kDone) return;
    stage_ = Stage::kQueued;
  }
  switch (invoker_.gates_.Enter(function_->uid, function_->concurrency_max, shared_from_this())) {
    case ConcurrencyGates::Entry::kAdmitted: return StartRun();
    case ConcurrencyGates::Entry::kFull:
      return Refuse(WithRetryAfter(
          absl::ResourceExhaustedError(fmt::format(
              "function {} runs its {} calls at a time (max_concurrency), and {} more wait",
              function_->id, function_->concurrency_max, invoker_.options_.queue_max)),
          kRetryAfterFull));
    case ConcurrencyGates::Entry::kQueued: break;
  }
  invoker_.parts_.observer.OnQueued(1);
  auto timer = invoker_.parts_.timers.RunAfter(std::max(TimeLeft(), Microseconds(0)),
                                               [weak = weak_from_this()] {
                                                 if (const auto self = weak.lock())
                                                   self->OnQueueTimeout();
                                               });
  bool is_cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    is_cancelled = cancelled_;
    if (stage_ == Stage::kQueued && !is_cancelled) {
      queue_timer_ = std::move(timer);
      return;
    }
  }
  timer->Cancel();
  if (is_cancelled && invoker_.gates_.Leave(function_->uid, shared_from_this())) {
    invoker_.parts_.observer.OnQueued(-1);
    Refuse(absl::CancelledError("the call was cancelled before it began"));
  }
}

void Invoker::Run::OnQueueTimeout() {
  if (!invoker_.gates_.Leave(function_->uid, shared_from_this())) return;
  invoker_.parts_.observer.OnQueued(-1);
  Refuse(absl::DeadlineExceededError(fmt::format(
      "function {} runs its {} calls at a time (max_concurrency), and none ended in time",
      function_->id, function_->concurrency_max)));
}

void Invoker::Run::OnAdmitted() {
  invoker_.parts_.observer.OnQueued(-1);
  std::shared_ptr<Timers::Handle> timer;
  {
    const std::lock_guard lock(mutex_);
    timer = std::move(queue_timer_);
  }
  if (timer) timer->Cancel();
  StartRun();
}

void Invoker::Run::StartRun() {
  const Parts& parts = invoker_.parts_;
  record_.id = order_.execution_id.empty() ? parts.ids.Next() : order_.execution_id;
  record_.space = order_.space;
  record_.function = order_.function;
  record_.function_version = function_->version;
  record_.trigger = order_.trigger;
  record_.start = parts.clock.Wall();
  if (!order_.delivery_id.empty()) record_.attempt = order_.attempt;
  record_.delivery_id = order_.delivery_id;
  if (order_.batch) {
    for (const BatchedEvent& one : *order_.batch) record_.delivery_ids.push_back(one.delivery_id);
  }
  record_.subscription = order_.subscription;
  if (order_.event) {
    record_.event_id = order_.event->id;
    record_.event_type = order_.event->type;
    record_.event_source = order_.event->source;
  }
  record_.caller = order_.caller;
  record_.instance = parts.ids.instance();
  record_.traceparent = order_.traceparent;
  started_ = parts.clock.Monotonic();
  record_.queue = started_ - arrival_;
  bool is_cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kDone) return LeaveGate();
    is_cancelled = cancelled_;
    if (!is_cancelled) stage_ = Stage::kRunning;
  }
  if (is_cancelled) {
    LeaveGate();
    return Refuse(absl::CancelledError("the call was cancelled before it began"));
  }
  invoker_.Add(record_.id, shared_from_this());
  parts.observer.OnStart();
  if (function_->input_schema == nullptr) return StartChain();
  parts.schemas.CheckInput(
      function_->input_schema, order_.payload, order_.content_type, order_.batch,
      [self = shared_from_this()](std::optional<FunctionError> error) {
        self->AddStep("validate", StepPhase::kBefore, error ? "refused" : "passed", self->started_);
        if (!error) return self->StartChain();
        self->End(FailedOutcome(*std::move(error)));
      });
}

void Invoker::Run::StartChain() {
  const auto self = shared_from_this();
  if (secrets_ != nullptr) {
    AddStep("secrets", StepPhase::kBefore, "given", invoker_.parts_.clock.Monotonic());
  }
  if (chain_ == nullptr) {
    driver_started_ = invoker_.parts_.clock.Monotonic();
    return StartDriver(MakeInvocation(), [self](Outcome outcome) {
      self->CountDriver(self->driver_started_);
      self->OnAnswer(std::move(outcome));
    });
  }
  Invocation invocation = MakeInvocation();
  invocation.caller = order_.caller;
  invocation.idempotency_key = order_.idempotency_key;
  auto run = std::make_shared<ChainRun>(
      chain_, std::move(invocation), invoker_.parts_.clock,
      [self](Invocation given, Driver::Done done) {
        const MonotonicTime since = self->invoker_.parts_.clock.Monotonic();
        self->StartDriver(std::move(given), [self, since, done = std::move(done)](Outcome outcome) {
          self->CountDriver(since);
          done(std::move(outcome));
        });
      },
      [self](Outcome outcome) {
        // The run and its chain hold each other until here.
        std::shared_ptr<ChainRun> ended;
        {
          const std::lock_guard lock(self->mutex_);
          ended = std::move(self->chain_run_);
          if (ended != nullptr) {
            for (StepRecord& record : ended->Records()) {
              self->record_.steps.push_back(std::move(record));
            }
          }
        }
        self->OnAnswer(std::move(outcome));
      });
  bool is_cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    chain_run_ = run;
    is_cancelled = cancelled_;
  }
  if (is_cancelled) run->Cancel();
  run->Start();
}

void Invoker::Run::CountDriver(MonotonicTime since) {
  driver_micros_ += (invoker_.parts_.clock.Monotonic() - since).count();
}

void Invoker::Run::StartDriver(Invocation invocation, Driver::Done done) {
  bool is_cancelled = false;
  std::uint64_t start = 0;
  {
    const std::lock_guard lock(mutex_);
    is_cancelled = cancelled_;
    start = ++driver_starts_;
  }
  if (is_cancelled) return done(CancelledOutcome());
  Driver* const driver = invoker_.DriverOf(*function_);
  if (driver == nullptr) return done(ProcessDisabled());
  auto call = driver->Start(std::move(invocation), std::move(done));
  {
    const std::lock_guard lock(mutex_);
    if (stage_ != Stage::kRunning || driver_starts_ != start) return;
    driver_call_ = call;
    is_cancelled = cancelled_;
  }
  if (is_cancelled && call) call->Cancel();
}

Invocation Invoker::Run::MakeInvocation() const {
  Invocation invocation;
  invocation.execution_id = record_.id;
  invocation.function = function_;
  invocation.trigger = order_.trigger;
  invocation.payload = order_.payload;
  invocation.content_type = order_.content_type;
  if (!order_.event_is_call) invocation.event = order_.event;
  invocation.http = order_.http;
  invocation.secrets = secrets_;
  invocation.signing = signing_;
  invocation.delivery_id = order_.delivery_id;
  invocation.attempt = order_.attempt;
  invocation.replay = order_.replay;
  invocation.batch = order_.batch;
  invocation.traceparent = order_.traceparent;
  invocation.deadline = deadline_;
  invocation.deadline_wall = record_.start + (deadline_ - started_);
  return invocation;
}

void Invoker::Run::Cancel() {
  std::shared_ptr<Driver::Call> call;
  std::shared_ptr<ChainRun> chain;
  Stage stage = Stage::kDone;
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kDone || cancelled_) return;
    cancelled_ = true;
    stage = stage_;
    call = driver_call_;
    chain = chain_run_;
  }
  if (stage == Stage::kRunning) {
    if (chain) chain->Cancel();
    if (call) call->Cancel();
    return;
  }
  if (stage == Stage::kQueued) {
    // Not in the queue: it is being admitted, and StartRun looks at the flag; or it is not
    // queued yet, and EnterGate does.
    if (!invoker_.gates_.Leave(function_->uid, shared_from_this())) return;
    invoker_.parts_.observer.OnQueued(-1);
  }
  Refuse(absl::CancelledError("the call was cancelled before it began"));
}

bool Invoker::Run::TakeEnd() {
  const std::lock_guard lock(mutex_);
  if (stage_ == Stage::kDone) return false;
  stage_ = Stage::kDone;
  driver_call_.reset();
  return true;
}

void Invoker::Run::Refuse(absl::Status status) {
  if (!TakeEnd()) return;
  invoker_.parts_.observer.OnRefused(order_.trigger);
  const Done done = std::move(done_);
  done({std::move(status), {}, 0, {}, {}});
}

void Invoker::Run::LeaveGate() {
  if (has_slot_) invoker_.gates_.Release(function_->uid);
}

void Invoker::Run::OnAnswer(Outcome outcome) {
  if (outcome.payload == nullptr) outcome.payload = std::make_shared<const std::string>();
  if (outcome.error || function_->output_schema == nullptr) return End(std::move(outcome));
  const auto answer = std::make_shared<Outcome>(std::move(outcome));
  const MonotonicTime since = invoker_.parts_.clock.Monotonic();
  invoker_.parts_.schemas.CheckOutput(
      function_->output_schema, answer->payload, answer->content_type,
      [self = shared_from_this(), answer, since](std::optional<FunctionError> error) {
        self->AddStep("validate", StepPhase::kAfter, error ? "refused" : "passed", since);
        answer->error = std::move(error);
        self->End(std::move(*answer));
      });
}

}  // namespace penstock::executor
