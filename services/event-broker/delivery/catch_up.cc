#include "services/event-broker/delivery/catch_up.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/codec/cloud_event_attributes.h"

namespace penstock::broker {
namespace {

// What one slice reads at least, when there is room for less, and at most, before others get their
// turn.
constexpr std::size_t kSliceEventsMin = 256;
constexpr std::size_t kSliceBytes = 4u << 20;
// Reads that fail are not repeated faster than this.
constexpr auto kPauseAfterError = std::chrono::seconds(1);

// Lets the scan skip what no revision of the subscription can match.
void Narrow(const RevisionHistory& history, ScanFilter& filter) {
  std::set<std::string> types;
  for (const auto& [sequence, revision] : history) {
    filter.spaces = {revision->space()};
    if (!revision->type().exact()) return;
    types.insert(revision->type().text());
  }
  filter.types = {types.begin(), types.end()};
}

}  // namespace

CatchUp::CatchUp(EventLog& log, std::function<void(ScanAnswer)> answer)
    : log_(log), answer_(std::move(answer)), thread_([this] { Run(); }) {}

CatchUp::~CatchUp() { Stop(); }

void CatchUp::Scan(ScanOrder order, std::shared_ptr<const RevisionHistory> history) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(order), std::move(history)});
  }
  wake_.notify_one();
}

void CatchUp::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CatchUp::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    bool failed = false;
    ScanAnswer answer = RunSlice(job, failed);
    lock.lock();
    if (failed) wake_.wait_for(lock, kPauseAfterError, [this] { return stopping_; });
    lock.unlock();
    answer_(std::move(answer));
    lock.lock();
  }
}

ScanAnswer CatchUp::RunSlice(const Job& job, bool& failed) {
  ScanAnswer answer{job.order.uid, {}, job.order.from};
  ScanRequest request;
  request.from = job.order.from;
  request.to = job.order.to;
  request.events_max = std::max(job.order.positions_max, kSliceEventsMin);
  request.bytes_max = kSliceBytes;
  request.filter.control_records = false;
  if (job.history != nullptr) Narrow(*job.history, request.filter);
  const auto result = log_.Scan(request);
  if (!result.ok()) {
    if (absl::IsOutOfRange(result.status())) {
      // Retention was faster than this subscription; what is gone cannot be delivered any more.
      log::Warn("events left the log before a subscription came to them",
                {{"uid", job.order.uid}, {"reason", std::string(result.status().message())}});
      answer.next = std::max(job.order.from, log_.horizon());
    } else {
      log::Warn("reading the log failed", {{"reason", std::string(result.status().message())}});
      failed = true;
    }
    return answer;
  }
  if (result->lost) {
    log::Error("a damaged part of the log is skipped",
               {{"reason", std::string(result->damage().message())}});
  }
  for (const EventRecord& record : result->records) {
    if (record.kind != RecordKind::kEvent || job.history == nullptr) continue;
    const CompiledSubscription* in_force = InForceAt(*job.history, record.sequence);
    if (in_force == nullptr) continue;
    const CloudEventAttributes attributes(record);
    if (!in_force->Matches({record.space, record.type, &attributes})) continue;
    answer.positions.push_back({record.sequence, record.append_time});
    if (answer.positions.size() >= job.order.positions_max) {
      answer.next = record.sequence + 1;
      return answer;
    }
  }
  answer.next = std::min(result->next, job.order.to + 1);
  return answer;
}

}  // namespace penstock::broker
