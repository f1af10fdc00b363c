// Keeps the log within its limits and verified, on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "services/event-broker/app/log_alarms.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {

struct LogKeeperOptions {
  std::uint64_t scrub_bytes_per_tick = 8u << 20;  // Of sealed segments read again; 0: none.
  std::chrono::milliseconds tick{1000};
};

// Once a tick: retention, a piece of the scrub, and what else is to be done that often. Logs what
// operators should know. What it is given must outlive it.
class LogKeeper {
 public:
  // `also` may be empty.
  LogKeeper(SegmentLog& log, LogKeeperOptions options, std::function<void()> also);
  ~LogKeeper();

 private:
  void Run();
  void Retain();
  void Scrub();

  SegmentLog& log_;
  const LogKeeperOptions options_;
  const std::function<void()> also_;
  LogAlarms alarms_;
  bool failing_ = false;  // Retention failed at the last tick.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
