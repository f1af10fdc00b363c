// What retention must not remove.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Thread-safe. Must outlive its pins.
class PinSet {
 public:
  std::unique_ptr<LogPin> Pin(Sequence sequence);
  // Runs `remove` unless a pin lies below `limit`, and lets no new pin in meanwhile. Gives whether
  // it ran.
  bool RunUnlessPinnedBelow(Sequence limit, const std::function<void()>& remove) const;

 private:
  class Held;
  mutable std::mutex mutex_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Sequence> pins_;
};

}  // namespace penstock::broker
