// Counts over the last while.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "libs/base/time.h"

namespace penstock::broker {

// Counts for each of the last `kSlots` slots of time of `slot` length.
template <int kSlots>
class CountRing {
 public:
  explicit CountRing(Microseconds slot) : slot_(std::max(slot, Microseconds(1))) {}

  void Add(MonotonicTime now) {
    Forget(now);
    ++counts_[Slot(current_)];
    ++sum_;
  }
  // Over all slots, the current one included.
  std::uint64_t Sum(MonotonicTime now) {
    Forget(now);
    return sum_;
  }
  void Clear() {
    counts_ = {};
    sum_ = 0;
  }

 private:
  static std::size_t Slot(std::int64_t number) { return static_cast<std::size_t>(number % kSlots); }

  void Forget(MonotonicTime now) {
    const std::int64_t number = std::max(current_, now.time_since_epoch() / slot_);
    current_ = std::max(current_, number - kSlots);
    while (current_ < number) {
      std::uint32_t& oldest = counts_[Slot(++current_)];
      sum_ -= oldest;
      oldest = 0;
    }
  }

  Microseconds slot_;
  std::array<std::uint32_t, kSlots> counts_{};
  std::uint64_t sum_ = 0;
  std::int64_t current_ = 0;
};

}  // namespace penstock::broker
