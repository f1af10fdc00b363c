// Stops calls to a target that fails all the time.
#pragma once

#include <optional>

#include "libs/base/time.h"
#include "services/event-broker/domain/delivery/count_ring.h"
#include "services/event-broker/domain/delivery/engine_options.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

// What a result says about the target, not about the event.
enum class TargetHealth : std::uint8_t { kNothing, kAlive, kFailing };

// Closed: calls go through. Open: none. Half open: a few probes at a time.
class Breaker {
 public:
  explicit Breaker(const BreakerOptions& options)
      : options_(options),
        open_for_(options.open_first),
        results_(options.window / kSlots),
        failures_(options.window / kSlots) {}

  BreakerState state() const { return state_; }
  // While open: when it becomes half open.
  std::optional<MonotonicTime> open_until() const {
    return state_ == BreakerState::kOpen ? std::optional(open_until_) : std::nullopt;
  }
  // Calls that may begin now; no more than that while half open.
  std::optional<int> ProbesLeft() const;

  // A call begins; true when it is a probe.
  bool Begin();
  // It ended. True when the breaker opened by that.
  bool End(bool probe, TargetHealth health, MonotonicTime now);
  // Its time is over: from open to half open.
  void Tick(MonotonicTime now);

 private:
  static constexpr int kSlots = 10;

  bool EndProbe(TargetHealth health, MonotonicTime now);
  bool ShouldOpen(MonotonicTime now);
  void Open(MonotonicTime now);
  void Close();

  const BreakerOptions options_;
  BreakerState state_ = BreakerState::kClosed;
  Microseconds open_for_;  // The next time that it opens.
  MonotonicTime open_until_{};
  int failures_in_a_row_ = 0;
  CountRing<kSlots> results_;  // In the last `BreakerOptions::window`.
  CountRing<kSlots> failures_;
  int probes_ = 0;     // In flight.
  int successes_ = 0;  // Of probes since half open.
};

}  // namespace penstock::broker
