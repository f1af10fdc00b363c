// Measures how late gRPC's callback threads run: they are few, and whatever blocks one delays every
// call.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace penstock::rpc {

// Sends a no-op call through the callback threads of this process at an interval. Thread-safe.
class Watchdog {
 public:
  struct Options {
    std::chrono::milliseconds interval{100};
    // Called on the watchdog's thread when a probe is later than `late_after`, once per probe. May
    // be empty.
    std::chrono::milliseconds late_after{1'000};
    std::function<void(std::chrono::microseconds lag)> on_late;
  };

  explicit Watchdog(Options options);
  // Stops as Stop() does.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // The largest time from issuing a probe to its callback since the previous TakeMaxLag, a probe
  // that is still out included: a hang shows while it lasts. For a gauge.
  std::chrono::microseconds TakeMaxLag();

  // The same of the last finished probe.
  std::chrono::microseconds last_lag() const;

  // Ends probing. Idempotent.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::rpc
