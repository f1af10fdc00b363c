// The engine's limits, and the time that every input carries.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/base/time.h"

namespace penstock::broker {

// When a target's breaker opens and closes.
struct BreakerOptions {
  int failures_min = 20;       // Failed results in a row, or in the window below, that open it.
  double failure_share = 0.9;  // Share of failed results in the last `window` that opens it.
  Microseconds window{10'000'000};
  Microseconds open_first{1'000'000};  // Then a probe; doubled each time that fails.
  Microseconds open_max{60'000'000};
  int probes = 1;           // In flight at the same time while half open.
  int successes_close = 3;  // Probes that have to succeed.
};

struct EngineOptions {
  std::size_t window = 1024;      // Positions that a lane keeps before it catches up by scans.
  std::size_t rows_max = 10'000;  // Retry rows of a lane; beyond it nothing new is sent.
  // Acknowledged positions above a floor before the floor is moved on.
  std::size_t acked_max = 1024;
  std::size_t results_per_flush = 4096;
  Microseconds flush_interval{100'000};
  int lost_max = 3;  // Unknown outcomes that count as one failed attempt.
  std::size_t attempt_log_max = 10;
  std::uint64_t seed = 1;                         // Of the jitter.
  std::uint64_t dead_letters_max = 100'000;       // Of a subscription, and
  std::uint64_t dead_letter_bytes_max = 1 << 30;  // their events.
  // Retries are at most this share of sends while fresh events wait.
  double retry_share = 0.2;
  // A space takes at most this share of the capacity while others wait, and never more than
  // `space_share_max`, so that calls that hang cannot hold all of it.
  double space_share = 0.25;
  double space_share_max = 0.75;
  // What a delivery costs beside its bytes when lanes take turns.
  std::uint32_t delivery_cost_bytes = 512;
  std::uint32_t quantum_bytes = 16 << 10;
  // A target's window: calls at the same time.
  int target_window_first = 256;
  int target_window_max = 1024;
  // After a restart, how long calls of before may go on, for ordered keys.
  Microseconds doubt_max{905'000'000};
  BreakerOptions breaker;
};

// Both clocks at one moment. Timers run on the monotonic one.
struct EngineTime {
  WallTime wall;
  MonotonicTime monotonic;
};

}  // namespace penstock::broker
