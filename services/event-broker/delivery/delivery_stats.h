// What delivery counts, for metrics and readiness.
#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::broker {

// Written by the shell's thread, read from any.
struct DeliveryStats {
  std::atomic<std::uint64_t> matched_through = 0;
  std::atomic<std::uint64_t> in_flight = 0;
  std::atomic<std::uint64_t> capacity = 0;
  std::atomic<std::uint64_t> sent = 0;
  std::atomic<std::uint64_t> succeeded = 0;
  std::atomic<std::uint64_t> retried = 0;
  std::atomic<std::uint64_t> dead = 0;
  std::atomic<std::uint64_t> sunk = 0;
  std::atomic<std::uint64_t> rejected = 0;
  std::atomic<std::uint64_t> lost = 0;
  std::atomic<std::uint64_t> expired = 0;
  std::atomic<std::uint64_t> breakers_opened = 0;
  std::atomic<std::uint64_t> unknown_results = 0;
  std::atomic<std::uint64_t> replies = 0;         // Published.
  std::atomic<std::uint64_t> scan_passes = 0;     // Over older parts of the log.
  std::atomic<std::uint64_t> scan_records = 0;    // Looked at in them.
  std::atomic<std::uint64_t> skipped_ranges = 0;  // Left the log before they were delivered.
  std::atomic<std::uint64_t> commit_failures = 0;
};

}  // namespace penstock::broker
