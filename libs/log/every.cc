#include "libs/log/every.h"

#include <limits>

namespace penstock::log {

Every::Every(std::chrono::milliseconds interval, const Clock& clock)
    : interval_micros_(std::chrono::duration_cast<Microseconds>(interval).count()),
      clock_(clock),
      next_micros_(std::numeric_limits<std::int64_t>::min()) {}

bool Every::Allow(std::uint64_t* suppressed) {
  const std::int64_t now = clock_.Monotonic().time_since_epoch().count();
  std::int64_t next = next_micros_.load(std::memory_order_relaxed);
  // Of several threads that arrive at once, the one that moves `next_micros_` writes.
  if (now >= next && next_micros_.compare_exchange_strong(next, now + interval_micros_,
                                                          std::memory_order_relaxed)) {
    *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
    return true;
  }
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace penstock::log
