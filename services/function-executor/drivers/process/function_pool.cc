#include "services/function-executor/drivers/process/function_pool.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "services/function-executor/drivers/process/pool_worker.h"
#include "services/function-executor/drivers/process/request_line.h"

namespace penstock::executor {

FunctionPool::FunctionPool(const PoolServices& services,
                           std::shared_ptr<const FunctionSpec> function,
                           std::function<void()> on_ended)
    : services_(services),
      function_(std::move(function)),
      program_(std::make_shared<Program>(services.options, function_)),
      on_ended_(std::move(on_ended)),
      idle_timer_(services.loop),
      try_timer_(services.loop),
      kept_timer_(services.loop) {}

FunctionPool::~FunctionPool() = default;

std::size_t FunctionPool::workers_max() const {
  int max = std::max(1, target().workers_max);
  if (function_->concurrency_max > 0) max = std::min(max, function_->concurrency_max);
  return static_cast<std::size_t>(max);
}

std::size_t FunctionPool::workers_min() const {
  if (!kept_ || retired_) return 0;
  return std::min(static_cast<std::size_t>(std::max(0, target().workers_min)), workers_max());
}

bool FunctionPool::BackingOff() const {
  return start_failures_ > 0 && services_.clock.Monotonic() < backoff_until_;
}

std::size_t FunctionPool::CountUsable() const { return CountStarting() + CountReady(); }

std::size_t FunctionPool::CountStarting() const {
  return static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(), [](const auto& worker) { return worker->starting(); }));
}

std::size_t FunctionPool::CountReady() const {
  return static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(), [](const auto& worker) { return worker->ready(); }));
}

void FunctionPool::Submit(const std::shared_ptr<PendingCall>& call) {
  idle_timer_.Cancel();
  if (stopping_) {
    call->Fail(ExecutorStopping());
    return;
  }
  const std::size_t busy = static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(),
                    [](const auto& worker) { return worker->state() == Worker::State::kBusy; }));
  const std::size_t waiting_max =
      static_cast<std::size_t>(std::max(0, services_.options.queue_max)) +
      (workers_max() - std::min(busy, workers_max()));
  if (queue_.size() >= waiting_max) {
    call->Fail({.category = ErrorCategory::kSystem,
                .type = "Busy",
                .message = fmt::format("all {} workers of the function are busy and {} calls wait",
                                       workers_max(), queue_.size())});
    return;
  }
  call->limit = call->invocation.deadline - services_.clock.Monotonic();
  if (call->limit <= Microseconds(0)) {
    call->timed_out = true;
    call->Fail({.category = ErrorCategory::kSystem,
                .type = "Timeout",
                .message = "the call's deadline had passed before it could start"});
    return;
  }
  // The timer goes with the call, and the call is in the pool's hands until it is finished.
  call->deadline_timer.emplace(services_.loop);
  call->deadline_timer->Set(call->limit,
                            [self = shared_from_this(), weak = std::weak_ptr<PendingCall>(call)] {
                              if (const std::shared_ptr<PendingCall> late = weak.lock())
                                self->OnDeadline(late);
                            });
  queue_.push_back(call);
  Schedule();
  AfterWork();
}

void FunctionPool::TryStart(std::function<void(StartOutcome)> done) {
  tries_.push_back(std::move(done));
  if (stopping_) {
    EndTries({ExecutorStopping(), {}});
  } else if (HasProvenWorker()) {
    EndTries({});
  } else if (CountUsable() == 0 && BackingOff()) {
    EndTries({start_error_, start_logs_});
  } else if (CountUsable() == 0) {
    idle_timer_.Cancel();
    StartWorker();
  } else if (CountStarting() == 0) {
    for (const auto& worker : workers_) worker->WaitForIdleEnd();
    WatchTries();
  }
  AfterWork();
}

bool FunctionPool::HasProvenWorker() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->proven(); });
}

void FunctionPool::WatchTries() {
  if (tries_.empty()) return;
  try_timer_.Set(services_.options.start_grace, [this] {
    start_failures_ = 0;
    EndTries({});  // What has ended meanwhile has told so.
  });
}

void FunctionPool::EndTries(const StartOutcome& outcome) {
  try_timer_.Cancel();
  for (const auto& done : std::exchange(tries_, {})) done(outcome);
}

void FunctionPool::Schedule() {
  FillWorkers();
  if (queue_.empty()) return;
  if (BackingOff()) {
    if (CountUsable() > 0) return;  // Those who wait may yet be served.
    const std::deque<std::shared_ptr<PendingCall>> refused = std::exchange(queue_, {});
    for (const auto& call : refused) call->Fail(start_error_);
    return;
  }
  StartWorkers();
}

void FunctionPool::FillWorkers() {
  while (!queue_.empty()) {
    const std::shared_ptr<Worker> worker = TakeIdle();
    if (!worker) return;
    const std::shared_ptr<PendingCall> call = queue_.front();
    queue_.pop_front();
    Dispatch(*worker, call);
  }
}

std::shared_ptr<FunctionPool::Worker> FunctionPool::TakeIdle() {
  // The one used last: its memory is warm, and the others get to end when demand falls.
  std::shared_ptr<Worker> best;
  for (const std::shared_ptr<Worker>& worker : workers_) {
    if (worker->state() != Worker::State::kIdle) continue;
    if (!worker->Trustworthy()) {
      worker->Kill();
    } else if (!best || worker->last_use() > best->last_use()) {
      best = worker;
    }
  }
  return best;
}

void FunctionPool::Dispatch(Worker& worker, const std::shared_ptr<PendingCall>& call) {
  RequestLine line = WriteRequestLine(call->invocation);
  if (line.error) {
    call->Fail(*std::move(line.error));
    return;
  }
  worker.Run(call, std::move(line.text));
}

void FunctionPool::StartWorkers() {
  while (CountStarting() < queue_.size() && CountUsable() < workers_max()) StartWorker();
}

void FunctionPool::StartWorker() {
  const auto worker = std::make_shared<Worker>(*this);
  workers_.push_back(worker);
  ++services_.workers;
  if (target().source_digest.empty()) return SpawnWorker(worker, nullptr);
  services_.sources.Acquire(
      function_, [self = shared_from_this(), worker](absl::StatusOr<SourceCache::Held> source) {
        auto shared = std::make_shared<absl::StatusOr<SourceCache::Held>>(std::move(source));
        self->services_.loop.Post(
            [self, worker, shared] { self->SpawnWorker(worker, std::move(*shared)); });
      });
}

void FunctionPool::SpawnWorker(const std::shared_ptr<Worker>& worker,
                               absl::StatusOr<SourceCache::Held> source) {
  if (!source.ok()) return OnSpawned(worker, source.status());
  const bool queued = services_.files.TryPost(
      [self = shared_from_this(), worker, program = program_, source = *std::move(source)] {
        const absl::Status prepared = program->Prepare(source);
        auto shared = std::make_shared<absl::StatusOr<SpawnedProcess>>(
            prepared.ok() ? SpawnProcess(program->Plan()) : prepared);
        self->services_.loop.Post(
            [self, worker, shared] { self->OnSpawned(worker, std::move(*shared)); });
      });
  if (!queued) {
    services_.loop.Post([self = shared_from_this(), worker] {
      self->OnSpawned(worker, absl::ResourceExhaustedError("too many workers are being started"));
    });
  }
}

void FunctionPool::OnSpawned(const std::shared_ptr<Worker>& worker,
                             absl::StatusOr<SpawnedProcess> process) {
  if (process.ok()) {
    worker->Adopt(*std::move(process));
  } else {
    const bool by_function = absl::IsInvalidArgument(process.status());
    RemoveWorker(*worker);
    StartFailed({.category = by_function ? ErrorCategory::kFunction : ErrorCategory::kSystem,
                 .type = "StartFailed",
                 .message = std::string(process.status().message())},
                {});
  }
  AfterWork();
}

void FunctionPool::StartFailed(FunctionError error, const Logs& logs) {
  if (stopping_) return;
  EndTries({error, logs});
  start_error_ = error;
  start_logs_ = logs;
  // Several workers may fail for the same reason at the same time: that is one failure.
  if (!BackingOff()) {
    const ProcessDriverOptions& options = services_.options;
    Microseconds delay = options.backoff_initial;
    for (int i = 0; i < start_failures_ && delay < options.backoff_max; ++i) delay *= 2;
    backoff_until_ = services_.clock.Monotonic() + std::min(delay, options.backoff_max);
    ++start_failures_;
  }
  if (CountReady() > 0) return;  // It works elsewhere: who waits is served there.
  const std::deque<std::shared_ptr<PendingCall>> failed = std::exchange(queue_, {});
  for (const auto& call : failed) call->Fail(error, logs);
}

void FunctionPool::OnDeadline(const std::shared_ptr<PendingCall>& call) {
  const std::string limit =
      FormatDuration(std::chrono::ceil<std::chrono::milliseconds>(call->limit));
  FunctionError error{.type = "Timeout"};
  const bool waiting = std::find(queue_.begin(), queue_.end(), call) != queue_.end();
  if (!waiting) {
    error.message = "the function did not answer within its limit of " + limit;
  } else if (CountReady() == 0) {
    error.message = "the function did not start within the call's limit of " + limit;
  } else {
    error.category = ErrorCategory::kSystem;
    error.message = "no worker of the function was free within the call's limit of " + limit;
  }
  call->timed_out = true;
  Abort(call, std::move(error));
}

void FunctionPool::Abort(const std::shared_ptr<PendingCall>& call, FunctionError error) {
  if (call->finished) return;
  if (const auto waiting = std::find(queue_.begin(), queue_.end(), call); waiting != queue_.end()) {
    queue_.erase(waiting);
    call->Fail(std::move(error));
  } else {
    for (const std::shared_ptr<Worker>& worker : workers_) {
      if (worker->call() != call) continue;
      worker->AbortCall(std::move(error));
      break;
    }
  }
  AfterWork();
}

void FunctionPool::SetKept(bool kept) {
  kept_ = kept;
  if (!kept) {
    for (const std::shared_ptr<Worker>& worker : workers_) worker->WaitForIdleEnd();
  }
  AfterWork();
}

void FunctionPool::StartKept() {
  if (CountUsable() >= workers_min()) return;
  if (BackingOff()) {
    const Microseconds delay(backoff_until_ - services_.clock.Monotonic());
    // Not the pool itself: it would live as long as its own timer.
    kept_timer_.Set(std::max(delay, Microseconds(1)), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->AfterWork();
    });
    return;
  }
  idle_timer_.Cancel();
  while (CountUsable() < workers_min()) StartWorker();
}

void FunctionPool::RemoveWorker(const Worker& worker) {
  --services_.workers;
  workers_.erase(std::find_if(workers_.begin(), workers_.end(),
                              [&worker](const auto& other) { return other.get() == &worker; }));
}

void FunctionPool::Retire() {
  retired_ = true;
  AfterWork();
}

void FunctionPool::Stop() {
  stopping_ = true;
  retired_ = true;
  const FunctionError error = ExecutorStopping();
  const std::deque<std::shared_ptr<PendingCall>> queued = std::exchange(queue_, {});
  for (const auto& call : queued) call->Fail(error);
  EndTries({error, {}});
  for (const std::shared_ptr<Worker>& worker : workers_) {
    if (worker->call()) {
      worker->AbortCall(error);
    } else {
      worker->Kill();
    }
  }
  AfterWork();
}

// Brings the pool into its next state after anything has changed.
void FunctionPool::AfterWork() {
  if (!queue_.empty()) Schedule();
  StartKept();
  if (retired_ && queue_.empty()) {
    for (const std::shared_ptr<Worker>& worker : workers_) {
      if (worker->state() == Worker::State::kIdle) worker->End();
    }
  }
  if (!workers_.empty() || !queue_.empty() || ended_) return;
  if (!retired_) {
    if (workers_min() > 0) return;  // The kept timer runs.
    // What is remembered about a failed start must outlast its delay.
    Microseconds delay = target().idle_timeout;
    if (BackingOff())
      delay = std::max(delay, Microseconds(backoff_until_ - services_.clock.Monotonic()));
    idle_timer_.Set(delay, [self = shared_from_this()] { self->Retire(); });
    return;
  }
  ended_ = true;
  EndTries({FunctionError{.category = ErrorCategory::kSystem,
                          .type = "Unavailable",
                          .message = "the version is not called any more"},
            {}});
  idle_timer_.Cancel();
  kept_timer_.Cancel();
  // Behind the jobs of this pool and before those of a successor in the same folder. Should the
  // queue ever be full, the next start of the driver removes the folder.
  (void)services_.files.TryPost([program = program_] { program->Remove(); });
  std::exchange(on_ended_, nullptr)();
}

}  // namespace penstock::executor
