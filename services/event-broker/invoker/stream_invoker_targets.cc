// The executors of StreamInvoker: connecting, losing and trusting them.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/invoker/stream_invoker.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kHangingInterval{1};

std::chrono::milliseconds DelayAfter(int failures) {
  return std::min<std::chrono::milliseconds>(100ms * (1 << std::clamp(failures - 1, 0, 6)), 5s);
}

}  // namespace

void StreamInvoker::AddTarget(const rpc::Replica& replica) {
  {
    const std::lock_guard lock(mutex_);
    Target& target = targets_[replica.address];
    target.replica = replica;
    target.connect_at = std::chrono::steady_clock::now();
  }
  wake_.notify_all();
}

void StreamInvoker::RemoveTarget(const rpc::Replica& replica) {
  std::shared_ptr<ExecutorStream> stream;
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(replica.address);
    if (at == targets_.end()) return;
    stream = at->second.stream;
    targets_.erase(at);
  }
  if (stream) stream->End();
  ReportCapacity();
  ReportSettled();
}

std::vector<StreamInvoker::Due> StreamInvoker::TakeDueTargets(SteadyTime now, SteadyTime* next) {
  std::vector<Due> due;
  for (auto& [address, target] : targets_) {
    if (target.stream != nullptr || target.generation != 0) continue;
    if (target.connect_at > now) {
      *next = std::min(*next, target.connect_at);
      continue;
    }
    target.generation = next_generation_++;
    target.has_credit = false;
    ++open_streams_;
    due.push_back({address, target.replica, target.generation});
  }
  return due;
}

void StreamInvoker::Connect(const Due& due) {
  auto stream = ExecutorStream::Start(
      due.replica, {options_.auth, options_.broker, options_.call_time_max},
      {
          .on_results = [this](std::vector<DeliveryResult> results) { Report(std::move(results)); },
          .on_unknown = [this](std::size_t count) { unknown_results_ += count; },
          .on_credit = [this, due](const std::string& instance,
                                   bool first) { OnCredit(due, instance, first); },
          .on_doubtful =
              [this, due](const std::string& instance, std::vector<SentCall> calls,
                          const std::string& reason) {
                OnDoubtful(due, instance, std::move(calls), reason);
              },
          .on_end = [this, due](const absl::Status& status) { OnEnd(due, status); },
      });
  bool unwanted = false;
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(due.address);
    unwanted = stopping_ || at == targets_.end() || at->second.generation != due.generation;
    if (!unwanted) at->second.stream = stream;
  }
  if (unwanted) stream->End();
  ReportCapacity();
}

void StreamInvoker::OnCredit(const Due& due, const std::string& instance, bool first) {
  std::vector<DeliveryResult> confirmed;
  if (first) {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(due.address);
    if (at != targets_.end() && at->second.generation == due.generation) {
      at->second.has_credit = true;
      at->second.confirmed = true;
      at->second.instance = instance;
    }
    if (!options_.broker.empty()) confirmed = doubtful_.TakeConfirmed({due.address, instance});
  }
  Report(std::move(confirmed));
  ReportCapacity();
  if (first) ReportSettled();
}

void StreamInvoker::OnDoubtful(const Due& due, const std::string& instance,
                               std::vector<SentCall> calls, const std::string& reason) {
  std::vector<DeliveryResult> confirmed;
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(due.address);
    // The address left and came back, and its new stream was quicker than the end of the old one.
    const bool is_confirmed = at != targets_.end() && at->second.generation > due.generation &&
                              at->second.has_credit && !options_.broker.empty();
    for (const SentCall& call : calls) {
      auto results = ResultsWithoutAnswer(call, DeliveryOutcome::kUnknown, "ExecutorLost", reason);
      if (is_confirmed) {
        std::move(results.begin(), results.end(), std::back_inserter(confirmed));
      } else {
        doubtful_.Add({due.address, instance}, call.ends_by + options_.doubt_grace,
                      std::move(results));
      }
    }
  }
  wake_.notify_all();
  Report(std::move(confirmed));
}

void StreamInvoker::OnEnd(const Due& due, const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = targets_.find(due.address);
    if (at != targets_.end() && at->second.generation == due.generation) {
      Target& target = at->second;
      target.failures = target.has_credit ? 1 : target.failures + 1;
      target.stream = nullptr;
      target.generation = 0;
      target.has_credit = false;
      target.connect_at = std::chrono::steady_clock::now() + DelayAfter(target.failures);
      if (target.failures == 1 && !stopping_) {
        log::Warn("the stream to an executor ended",
                  {{"address", due.address}, {"reason", std::string(status.message())}});
      }
    }
  }
  ReportCapacity();
  {
    const std::lock_guard lock(mutex_);
    --open_streams_;
    wake_.notify_all();
  }
}

void StreamInvoker::ReleaseOver() {
  std::vector<DeliveryResult> results;
  {
    const std::lock_guard lock(mutex_);
    results = doubtful_.TakeOver(std::chrono::steady_clock::now());
  }
  Report(std::move(results));
}

void StreamInvoker::EndHangingStreams() {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (now < check_hanging_at_) return;
    check_hanging_at_ = now + kHangingInterval;
  }
  for (const auto& stream : Streams()) {
    if (!stream->HasCallsBefore(now - options_.overdue_grace)) continue;
    log::Warn("an executor gives no result of a call whose time is long over: its stream is ended");
    stream->End();
  }
}

bool StreamInvoker::IsSettled() const {
  // All that were resolved together count together: the set knows them before it tells of the
  // first.
  const std::vector<rpc::Replica> replicas = replicas_->replicas();
  const std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() >= settle_at_) return true;
  if (options_.broker.empty() || replicas.empty()) return false;
  std::set<std::string> instances;
  for (const auto& [address, target] : targets_) {
    if (target.confirmed) instances.insert(target.instance);
  }
  // An executor that has several addresses confirms by one of them for all.
  const auto is_confirmed = [&](const rpc::Replica& replica) {
    const auto at = targets_.find(replica.address);
    if (at == targets_.end()) return false;
    const Target& target = at->second;
    return target.confirmed ||
           (target.stream != nullptr && instances.contains(target.stream->instance()));
  };
  return std::all_of(replicas.begin(), replicas.end(), is_confirmed);
}

void StreamInvoker::ReportSettled() {
  {
    const std::lock_guard lock(mutex_);
    if (settled_) return;
  }
  if (!IsSettled()) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(settled_, true)) return;
  }
  if (listener_.on_settled) listener_.on_settled();
}

}  // namespace penstock::broker
