// The spaces whose publishes are refused for now.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::broker {

// Thread-safe.
class PublishGate {
 public:
  // Replaces the closed spaces.
  void Close(std::set<std::string, std::less<>> spaces);
  // RESOURCE_EXHAUSTED with kReasonPinLimit when `space` is closed; counts it.
  absl::Status Check(std::string_view space);

  std::vector<std::string> closed() const;
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> any_ = false;  // Spares the lock in the usual case.
  std::atomic<std::uint64_t> refused_ = 0;
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> spaces_;
};

}  // namespace penstock::broker
