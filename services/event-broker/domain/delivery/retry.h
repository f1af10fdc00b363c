// When a failed delivery is tried again.
#pragma once

#include <cstdint>

#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

// A small seeded generator (splitmix64): the engine's only randomness, the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  // Uniform in [0, 1).
  double Unit();

 private:
  std::uint64_t state_;
};

// The delay after `attempts_made` failed attempts (at least 1), as the policy says, with jitter. A
// schedule is not bounded by `delay_max`.
Microseconds RetryDelay(const RetryPolicy& policy, int attempts_made, Random& random);

// The delay after the `count`-th time that a target could not be reached or refused to start: 100
// ms, doubled each time, at most 5 s, with a fifth of jitter.
Microseconds RejectDelay(int count, Random& random);

}  // namespace penstock::broker
