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
  struct Entry {
    PinOwner owner;
    Sequence sequence = kNoSequence;
  };

  std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner& owner);
  // Runs `work` with all pins, and lets no pin in, out or on meanwhile: it must be short.
  void RunHeld(const std::function<void(const std::map<std::uint64_t, Entry>& pins)>& work) const;

 private:
  class Held;
  mutable std::mutex mutex_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Entry> pins_;
};

}  // namespace penstock::broker
