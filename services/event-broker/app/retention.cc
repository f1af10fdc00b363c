#include "services/event-broker/app/retention.h"

#include <utility>

#include "libs/log/log.h"

namespace penstock::broker {

LogKeeper::LogKeeper(SegmentLog& log, LogKeeperOptions options, std::function<void()> also)
    : log_(log), options_(options), also_(std::move(also)), thread_([this] { Run(); }) {}

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
  while (!wake_.wait_for(lock, options_.tick, [this] { return stopping_; })) {
    lock.unlock();
    Retain();
    Scrub();
    if (also_) also_();
    lock.lock();
  }
}

void LogKeeper::Retain() {
  const auto removed = log_.ApplyRetention();
  if (!removed.ok()) {
    // Once, not each second.
    if (!std::exchange(failing_, true)) {
      log::Error("log retention failed", {{"error", removed.status()}});
    }
    return;
  }
  failing_ = false;
  if (removed->segments_removed > 0) {
    log::Info("old log segments removed",
              {{"segments", removed->segments_removed}, {"bytes", removed->bytes_removed}});
  }
  for (const SkippedRange& range : removed->skipped) {
    log::Warn("events were removed that are still needed: the limit of pins is reached",
              {{"owner", range.owner.label},
               {"space", range.owner.space},
               {"from_sequence", range.first},
               {"to_sequence", range.last}});
  }
  for (const LogAlarm& alarm : alarms_.Look(log_.Health())) {
    const log::Fields fields = {
        {"owner", alarm.owner.label}, {"space", alarm.owner.space}, {"percent", alarm.percent}};
    alarm.is_over ? log::Info(alarm.sentence, fields) : log::Warn(alarm.sentence, fields);
  }
}

void LogKeeper::Scrub() {
  if (options_.scrub_bytes_per_tick == 0) return;
  if (const absl::Status status = log_.Scrub(options_.scrub_bytes_per_tick); !status.ok()) {
    log::Error("a log segment cannot be verified", {{"error", status}});
  }
}

}  // namespace penstock::broker
