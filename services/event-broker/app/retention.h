// Keeps the log within its limits and verified, on a thread of its own.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {

// Once a minute: retention, then one sealed segment is read again and verified. `log` must outlive
// it.
class LogKeeper {
 public:
  explicit LogKeeper(SegmentLog& log);
  ~LogKeeper();

 private:
  void Run();

  SegmentLog& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
