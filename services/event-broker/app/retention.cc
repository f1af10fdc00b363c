#include "services/event-broker/app/retention.h"

#include <chrono>

#include "libs/log/log.h"

namespace penstock::broker {

LogKeeper::LogKeeper(SegmentLog& log, SubscriptionCatalog& catalog)
    : log_(log), catalog_(catalog), thread_([this] { Run(); }) {}

LogKeeper::~LogKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LogKeeper::Run() {
  constexpr int kTicksPerLogKeeping = 60;
  std::unique_lock lock(mutex_);
  for (int tick = 1; !wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; });
       ++tick) {
    lock.unlock();
    if (tick % kTicksPerLogKeeping == 0) KeepLog();
    catalog_.Maintain();
    lock.lock();
  }
}

void LogKeeper::KeepLog() {
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
}

}  // namespace penstock::broker
