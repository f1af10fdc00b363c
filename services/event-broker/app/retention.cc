#include "services/event-broker/app/retention.h"

#include <chrono>

#include "libs/log/log.h"

namespace penstock::broker {

LogKeeper::LogKeeper(SegmentLog& log) : log_(log), thread_([this] { Run(); }) {}

LogKeeper::~LogKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LogKeeper::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::minutes(1), [this] { return stopping_; })) {
    lock.unlock();
    const auto removed = log_.ApplyRetention();
    if (!removed.ok()) {
      log::Error("log retention failed", {{"error", removed.status()}});
    } else if (removed->segments_removed > 0) {
      log::Info("old log segments removed",
                {{"segments", removed->segments_removed}, {"bytes", removed->bytes_removed}});
    }
    if (const auto scrubbed = log_.ScrubNext(); !scrubbed.ok()) {
      log::Error("a log segment cannot be verified", {{"error", scrubbed.status()}});
    }
    lock.lock();
  }
}

}  // namespace penstock::broker
