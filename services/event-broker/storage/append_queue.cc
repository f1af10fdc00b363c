#include "services/event-broker/storage/append_queue.h"

#include "libs/base/status.h"

namespace penstock::broker {

absl::Status AppendQueue::Push(AppendCall call) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return WithReason(absl::UnavailableError("the event log is stopped"), kReasonLogStopped);
    }
    if (events_ + call.requests.size() > events_max_ || bytes_ + call.bytes > bytes_max_) {
      return WithReason(absl::ResourceExhaustedError("too many events wait to be stored"),
                        kReasonQueueFull);
    }
    events_ += call.requests.size();
    bytes_ += call.bytes;
    calls_.push_back(std::move(call));
    if (calls_.size() > 1) return absl::OkStatus();
  }
  wake_.notify_one();
  return absl::OkStatus();
}

std::vector<AppendCall> AppendQueue::Take(std::size_t bytes_max, bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) wake_.wait(lock, [this] { return closed_ || !calls_.empty(); });
  std::vector<AppendCall> taken;
  std::size_t bytes = 0;
  while (!calls_.empty() && (taken.empty() || bytes + calls_.front().bytes <= bytes_max)) {
    bytes += calls_.front().bytes;
    bytes_ -= calls_.front().bytes;
    events_ -= calls_.front().requests.size();
    taken.push_back(std::move(calls_.front()));
    calls_.pop_front();
  }
  return taken;
}

void AppendQueue::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  wake_.notify_all();
}

std::size_t AppendQueue::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::size_t AppendQueue::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace penstock::broker
