// Limits how often a line that can repeat is written.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "libs/base/time.h"

namespace penstock::log {

// Allows one line per interval and counts the others. Thread-safe, lock-free; a member or a static
// of the code that logs. `clock` must outlive it.
class Every {
 public:
  explicit Every(std::chrono::milliseconds interval, const Clock& clock = SystemClock());

  // True when a line may be written now; `*suppressed` is then how many were refused since the last
  // one that was allowed.
  bool Allow(std::uint64_t* suppressed);

 private:
  const std::int64_t interval_micros_;
  const Clock& clock_;
  std::atomic<std::int64_t> next_micros_;
  std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace penstock::log
