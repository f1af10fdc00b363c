// A clock that moves only when a test says so. Thread-safe.
#pragma once

#include <atomic>

#include "libs/base/time.h"

namespace penstock {

class FakeClock final : public Clock {
 public:
  WallTime Wall() const override { return FromUnixMicros(wall_micros_.load()); }
  MonotonicTime Monotonic() const override {
    return MonotonicTime(Microseconds(monotonic_micros_.load()));
  }

  // Moves both clocks forward.
  void Advance(Microseconds by) {
    wall_micros_ += by.count();
    monotonic_micros_ += by.count();
  }

  // Steps the wall clock alone, in either direction, as an operator or NTP would.
  void JumpWall(Microseconds by) { wall_micros_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_micros_{1'700'000'000'000'000};
  std::atomic<std::int64_t> monotonic_micros_{1'000'000'000};
};

}  // namespace penstock
