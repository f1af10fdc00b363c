// Refuses deliveries of a broker that no longer owns their subscription.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace penstock::executor {

// Remembers the highest epoch seen of each subscription. Thread-safe.
class EpochGuard {
 public:
  // Beyond so many subscriptions it forgets and begins anew: epochs are fenced where the broker's
  // state is; here they only spare functions a repeated call.
  explicit EpochGuard(std::size_t subscriptions_max = 100'000)
      : subscriptions_max_(subscriptions_max) {}

  // False when a newer epoch of `subscription` was seen before.
  bool Admit(const std::string& subscription, std::int64_t epoch);

 private:
  const std::size_t subscriptions_max_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::int64_t> newest_;
};

}  // namespace penstock::executor
