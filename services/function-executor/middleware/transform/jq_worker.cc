#include "services/function-executor/middleware/transform/jq_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace penstock::executor {
namespace {

// As many as a worker keeps compiled. One more, and which it still has is not known any more.
constexpr std::size_t kProgramsKnown = 64;
// Of the longest line that is no output.
constexpr std::size_t kMessageBytesMax = 4096;
constexpr int kCpuSlackSeconds = 2;
// What a program gets that runs beyond its call's deadline: starting another worker costs as much.
constexpr Microseconds kOverrunMax{100'000};

int CpuSeconds(const JqPoolOptions& options) {
  const Microseconds all = options.run_time_max + options.compile_time_max;
  return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(all).count()) + kCpuSlackSeconds;
}

}  // namespace

absl::StatusOr<std::shared_ptr<JqWorker>> JqWorker::Start(const std::string& path,
                                                          const Services& services) {
  const JqPoolOptions& options = services.options;
  LaunchPlan plan;
  // The processor time ends it where this process is stopped and cannot.
  plan.arguments = {path, fmt::format("--parent={}", ::getpid()),
                    fmt::format("--address-bytes={}", options.memory_bytes_max),
                    fmt::format("--output-bytes={}", options.output_bytes_max),
                    fmt::format("--cpu-seconds={}", CpuSeconds(options))};
  absl::StatusOr<SpawnedProcess> process = SpawnProcess(plan);
  if (!process.ok()) return process.status();
  auto worker = std::make_shared<JqWorker>(services, *std::move(process));
  worker->process_->Watch();
  return worker;
}

JqWorker::JqWorker(const Services& services, SpawnedProcess process)
    : services_(services),
      timer_(services.loop),
      process_(std::make_shared<WorkerProcess>(
          services.loop, std::move(process),
          WorkerProcess::Limits{
              .line_bytes_max = std::max(services.options.output_bytes_max + 1, kMessageBytesMax),
              .log_bytes_max = kMessageBytesMax,
              .log_line_bytes_max = kMessageBytesMax},
          this)) {}

void JqWorker::Take(std::shared_ptr<JqJob> job) {
  job_ = std::move(job);
  ++runs_;
  is_hurried_ = false;
  is_compiling_ = !known_.contains(*job_->program);
  if (is_compiling_) {
    if (known_.size() >= kProgramsKnown) known_.clear();
    known_.insert(*job_->program);
  }
  LimitRun();
  std::string request = fmt::format("{} {}\n", job_->program->size(), job_->input->size());
  request.reserve(request.size() + job_->program->size() + job_->input->size());
  request += *job_->program;
  request += *job_->input;
  process_->Send(std::move(request));
}

void JqWorker::LimitRun() {
  const JqPoolOptions& options = services_.options;
  Microseconds most = options.run_time_max;
  if (is_compiling_) most += options.compile_time_max;
  if (is_hurried_ && !is_compiling_) most = std::min(most, kOverrunMax);
  timer_.Set(most, [this] { OnTimeOver(); });
}

void JqWorker::Hurry() {
  is_hurried_ = true;
  if (!is_compiling_) LimitRun();
}

void JqWorker::OnTimeOver() {
  Kill();
  EndJob(JqResult::Kind::kRunTooLong, {}, /*at_limit=*/true);
}

void JqWorker::Stop() {
  Kill();
  if (job_ != nullptr) {
    EndJob(JqResult::Kind::kUnavailable, "the executor is stopping", /*at_limit=*/false);
  }
}

void JqWorker::Kill() {
  is_ending_ = true;
  process_->Kill();
}

void JqWorker::OnLine(std::string line, bool /*more*/) {
  if (job_ == nullptr) return Kill();  // It answers what nobody asked; or it is being killed.
  const char kind = line.empty() ? '\0' : line.front();
  if (kind == '>') {
    is_compiling_ = false;
    return LimitRun();
  }
  if (runs_ >= services_.options.runs_per_worker_max || kind == 'm') Kill();
  line.erase(0, 1);
  switch (kind) {
    case '=': return EndJob(JqResult::Kind::kOutput, std::move(line), false);
    case 'j': return EndJob(JqResult::Kind::kNotJson, std::move(line), false);
    case 'c':
    case 'e': return EndJob(JqResult::Kind::kFailed, std::move(line), false);
    case 'l': return EndJob(JqResult::Kind::kOutputTooLarge, {}, false);
    case 'm': return EndJob(JqResult::Kind::kOutOfMemory, {}, true);
    default: break;
  }
  Kill();
  EndJob(JqResult::Kind::kCrashed, "gave an answer that cannot be read", true);
}

void JqWorker::OnLineTooLong() {
  Kill();
  if (job_ != nullptr) EndJob(JqResult::Kind::kOutputTooLarge, {}, true);
}

void JqWorker::OnExit() {
  is_ending_ = true;
  // Somebody killed it, perhaps while it was idle. A transformation can be run again; but twice is
  // no accident.
  const bool is_blameless = process_->LastLineUnread() || process_->killed_by_other();
  if (job_ != nullptr && job_->done && is_blameless && !std::exchange(job_->is_second_try, true)) {
    timer_.Cancel();
    services_.on_blameless(std::move(job_));
  }
  if (job_ != nullptr) EndJob(JqResult::Kind::kCrashed, process_->DescribeExit(), true);
  services_.on_exit(this);
}

void JqWorker::EndJob(JqResult::Kind kind, std::string text, bool at_limit) {
  timer_.Cancel();
  const std::shared_ptr<JqJob> job = std::move(job_);
  job->Finish(kind, std::move(text));
  services_.on_job_ended(*job->program, at_limit);
}

}  // namespace penstock::executor
