#include "services/function-executor/drivers/process/pool_worker.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "services/function-executor/drivers/process/answer_line.h"

namespace penstock::executor {
namespace {

// Room in a line for what is not the payload: an error with its stack trace, or logs.
constexpr std::size_t kEnvelopeBytes = 64U << 10;
// For the first call of a worker that was started without one.
constexpr Microseconds kUncalledIdleMax{60'000'000};
// Between two looks at a worker's CPU time.
constexpr Microseconds kCpuLookMin{5'000};

// What runtimes say when they die for want of memory.
bool SaysOutOfMemory(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kPhrases = {
      "out of memory",         "heap limit", "MemoryError", "bad_alloc",
      "annot allocate memory", "OutOfMemory"};
  return std::any_of(kPhrases.begin(), kPhrases.end(), [text](std::string_view phrase) {
    return text.find(phrase) != std::string_view::npos;
  });
}

}  // namespace

FunctionPool::Worker::Worker(FunctionPool& pool)
    : pool_(pool),
      abort_timer_(pool.services_.loop),
      timer_(pool.services_.loop),
      cpu_timer_(pool.services_.loop) {}

bool FunctionPool::Worker::Trustworthy() const {
  // A program may answer its first request without having read it; later ones it has to wait for.
  return calls_ == 0 || process_->Quiet();
}

void FunctionPool::Worker::Adopt(SpawnedProcess process) {
  const ProcessDriverOptions& options = pool_.services_.options;
  // Text in JSON may take more room than the payload itself; the payload is measured on its own.
  const auto output_max = static_cast<std::size_t>(pool_.target().output_bytes_max);
  const WorkerProcess::Limits limits{.line_bytes_max = 2 * output_max + kEnvelopeBytes,
                                     .log_bytes_max = options.log_bytes_max,
                                     .log_line_bytes_max = options.log_line_bytes_max};
  process_ =
      std::make_shared<WorkerProcess>(pool_.services_.loop, std::move(process), limits, this);
  process_->Watch();
  if (state_ == State::kEnding) {  // Not wanted any more since.
    process_->Kill();
    return;
  }
  if (!HasHandshake()) {
    BecomeIdle();
    pool_.WatchTries();
    return;
  }
  state_ = State::kLoading;
  timer_.Set(options.start_timeout, [this] {
    FailStart({.type = "Timeout",
               .message = fmt::format("the function's source did not load within {}",
                                      FormatDuration(pool_.services_.options.start_timeout))});
  });
}

void FunctionPool::Worker::BecomeIdle() {
  state_ = State::kIdle;
  last_use_ = ++pool_.uses_;
  WaitForIdleEnd();
}

void FunctionPool::Worker::WaitForIdleEnd() {
  if (state_ != State::kIdle) return;
  Microseconds time = pool_.target().idle_timeout;
  if (calls_ == 0) time = std::min(time, kUncalledIdleMax);
  // One that is on trial has to outlast it.
  if (!pool_.tries_.empty()) time = std::max(time, 2 * pool_.services_.options.start_grace);
  timer_.Set(time, [this] { OnIdleTimeout(); });
}

void FunctionPool::Worker::OnIdleTimeout() {
  // Of the workers that are kept none has a time to end: it ends when it is not kept any more.
  if (pool_.CountUsable() > pool_.workers_min()) End();
}

void FunctionPool::Worker::WatchCpuTime() {
  const Microseconds limit = pool_.target().cpu_time_max;
  if (limit == Microseconds(0)) return;
  const Microseconds used = process_->CpuTime() - cpu_time_before_;
  if (used >= limit) {
    AbortCall(
        {.type = "CpuTimeExceeded",
         .message = fmt::format("the call used up its CPU time of {}", FormatDuration(limit))});
    pool_.AfterWork();
    return;
  }
  // All cores at once use it up the fastest.
  const auto cores = std::max<std::int64_t>(1, std::thread::hardware_concurrency());
  cpu_timer_.Set(std::max((limit - used) / cores, kCpuLookMin), [this] { WatchCpuTime(); });
}

void FunctionPool::Worker::Run(const std::shared_ptr<PendingCall>& call, std::string line) {
  timer_.Cancel();
  state_ = State::kBusy;
  call_ = call;
  ++calls_;
  if (pool_.target().cpu_time_max != Microseconds(0)) {
    cpu_time_before_ = process_->CpuTime();
    WatchCpuTime();
  }
  process_->Send(std::move(line));
}

void FunctionPool::Worker::AbortCall(FunctionError error) {
  aborted_ = std::exchange(call_, nullptr);
  aborted_->deadline_timer.reset();
  abort_error_ = std::move(error);
  pool_.EndTries({});  // What has to be killed does run.
  Kill();
  abort_timer_.Set(pool_.services_.options.exit_grace, [this] { FinishAborted(); });
}

void FunctionPool::Worker::FinishAborted() {
  const std::shared_ptr<PendingCall> call = std::exchange(aborted_, nullptr);
  if (!call) return;
  abort_timer_.Cancel();
  process_->ReadLogs();
  call->Fail(std::move(abort_error_), TakeLogs({}));
}

void FunctionPool::Worker::End() {
  state_ = State::kEnding;
  process_->CloseInput();
  timer_.Set(pool_.services_.options.exit_grace, [this] { process_->Kill(); });
}

void FunctionPool::Worker::Kill() {
  state_ = State::kEnding;
  timer_.Cancel();
  cpu_timer_.Cancel();
  if (process_) process_->Kill();
}

void FunctionPool::Worker::OnLine(std::string line, bool more) {
  switch (state_) {
    case State::kLoading: OnFirstLine(line); break;
    case State::kBusy: OnAnswer(line, more); break;
    case State::kIdle: OnUnaskedLine(line); break;
    case State::kSpawning:
    case State::kEnding: break;
  }
}

// What a worker that speaks unasked says next could be taken for an answer.
void FunctionPool::Worker::OnUnaskedLine(const std::string& line) {
  if (answers_ > 0) return Kill();
  std::optional<ReadyLine> refusal = ParseReadyLine(line);
  const bool is_refused = refusal && !refusal->ready;
  if (pool_.workers_min() == 0) {
    // A program that does not read its calls runs all the same.
    pool_.EndTries(is_refused ? StartOutcome{std::move(refusal->error), TakeLogs({})}
                              : StartOutcome());
    return Kill();
  }
  // One that is kept, and does so from the start, would be started again and again.
  if (is_refused) return FailStart(*std::move(refusal->error));
  FailStart({.type = "InvalidAnswer", .message = "the worker wrote a line before its first call"});
}

void FunctionPool::Worker::OnFirstLine(const std::string& line) {
  std::optional<ReadyLine> ready = ParseReadyLine(line);
  if (!ready) {
    FailStart({.type = "InvalidAnswer", .message = "the worker did not announce itself"});
    return;
  }
  if (!ready->ready) {
    FunctionError error = *std::move(ready->error);
    // That the interpreter cannot be started is not the function's fault.
    if (error.type == "StartFailed") error.category = ErrorCategory::kSystem;
    FailStart(std::move(error));
    return;
  }
  pool_.start_failures_ = 0;
  BecomeIdle();
  pool_.EndTries({});
  pool_.AfterWork();
}

void FunctionPool::Worker::FailStart(FunctionError error) {
  Kill();
  process_->ReadLogs();
  pool_.StartFailed(std::move(error), TakeLogs({}));
}

// A program without a handshake says with its first answer that it could not be started.
bool FunctionPool::Worker::RefusedToStart(const std::string& line) {
  if (answers_ > 0 || HasHandshake() || line.rfind("{\"ready\"", 0) != 0) return false;
  std::optional<ReadyLine> ready = ParseReadyLine(line);
  if (!ready || ready->ready) return false;
  pool_.queue_.push_front(std::exchange(call_, nullptr));
  FailStart(*std::move(ready->error));
  return true;
}

void FunctionPool::Worker::OnAnswer(const std::string& line, bool more) {
  if (RefusedToStart(line)) return;
  AnswerLine answer = ParseAnswerLine(line);
  Outcome& outcome = answer.outcome;
  if (!answer.execution_id.empty() && answer.execution_id != call_->invocation.execution_id) {
    answer = {.valid = false};
    outcome.error = InvalidAnswer("is for another execution", line);
    outcome.payload = std::make_shared<const std::string>();
  }
  process_->ReadLogs();
  outcome.logs = TakeLogs(outcome.logs);
  if (outcome.payload->size() > static_cast<std::size_t>(pool_.target().output_bytes_max)) {
    outcome.payload = nullptr;
    outcome.content_type.clear();
    outcome.error = TooLarge();
    more = true;  // The worker may still hold the memory: it ends below.
  }
  ++answers_;
  cpu_timer_.Cancel();
  pool_.start_failures_ = 0;
  pool_.EndTries({});
  const std::shared_ptr<PendingCall> call = std::exchange(call_, nullptr);
  const std::int64_t calls_max = pool_.target().calls_max > 0
                                     ? pool_.target().calls_max
                                     : pool_.services_.options.calls_per_worker_max;
  if (!answer.valid || more || !process_->AllSent()) {
    Kill();
  } else if (calls_ >= calls_max) {
    End();
  } else {
    BecomeIdle();
  }
  call->Finish(std::move(outcome));
  pool_.AfterWork();
}

void FunctionPool::Worker::OnLineTooLong() {
  if (state_ == State::kBusy) {
    AbortCall(TooLarge());
  } else if (state_ == State::kLoading) {
    FailStart(TooLarge());
  } else if (state_ == State::kIdle) {
    OnUnaskedLine({});
  } else {
    Kill();
  }
}

void FunctionPool::Worker::OnExit() {
  timer_.Cancel();
  cpu_timer_.Cancel();
  FinishAborted();
  const State state = std::exchange(state_, State::kEnding);
  if (state == State::kBusy) {
    CallCrashed();
  } else if (state == State::kLoading) {
    pool_.StartFailed(Crash(), TakeLogs({}));
  } else if (state == State::kIdle && answers_ == 0 && pool_.workers_min() > 0) {
    // A program without a handshake that ends at once would be started again and again.
    pool_.StartFailed(Crash(), TakeLogs({}));
  } else if (state == State::kIdle && answers_ == 0) {
    pool_.EndTries({Crash(), TakeLogs({})});
  }
  const std::shared_ptr<FunctionPool> pool = pool_.shared_from_this();
  pool->RemoveWorker(*this);  // Ends this object's life.
  pool->AfterWork();
}

void FunctionPool::Worker::CallCrashed() {
  std::shared_ptr<PendingCall> call = std::exchange(call_, nullptr);
  if (answers_ > 0 && process_->LastLineUnread()) {
    // A program that ends after each answer may do so just when it is given the next call: that one
    // was not even read, so another worker may have it.
    pool_.queue_.push_front(std::move(call));
    return;
  }
  FunctionError error = Crash();
  // Without the log: the call may have brought secrets.
  pool_.EndTries({error, {}});
  call->Fail(std::move(error), TakeLogs({}));
}

FunctionError FunctionPool::Worker::Crash() const {
  std::string message = "the worker " + process_->DescribeExit() + " before it answered";
  if (SaysOutOfMemory(process_->logs().last_words())) {
    message +=
        fmt::format(": out of memory, the limit is {} MiB", pool_.target().memory_bytes_max >> 20);
  } else if (process_->killed_by_other()) {
    message += ": perhaps the machine was out of memory";
  }
  return {.type = "Crashed", .message = std::move(message)};
}

FunctionError FunctionPool::Worker::TooLarge() const {
  return {.type = "OutputTooLarge",
          .message = fmt::format("the function's answer is larger than its limit of {} bytes",
                                 pool_.target().output_bytes_max)};
}

Logs FunctionPool::Worker::TakeLogs(const Logs& answered) {
  LogCollector& logs = process_->logs();
  for (const std::string& line : answered.out) {
    logs.Append(LogCollector::Stream::kOut, line + "\n");
  }
  for (const std::string& line : answered.err) {
    logs.Append(LogCollector::Stream::kErr, line + "\n");
  }
  return logs.Take();
}

}  // namespace penstock::executor
