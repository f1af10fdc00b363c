#include "services/event-broker/domain/delivery/retry.h"

#include <algorithm>
#include <cmath>

namespace penstock::broker {
namespace {

Microseconds Jittered(double micros, double share, double ceiling, Random& random) {
  const double factor = 1 + share * (2 * random.Unit() - 1);
  return Microseconds(std::llround(std::clamp(micros * factor, 1.0, ceiling)));
}

// By multiplication, not std::pow: the same to the last bit on every machine.
double Grown(double first, double multiplier, int steps, double ceiling) {
  double delay = first;
  for (int step = 0; step < steps && multiplier > 1 && delay < ceiling; ++step) delay *= multiplier;
  return std::min(delay, ceiling);
}

}  // namespace

std::uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

Microseconds RetryDelay(const RetryPolicy& policy, int attempts_made, Random& random) {
  const auto first = static_cast<double>(policy.delay_initial.count());
  const auto ceiling = static_cast<double>(policy.delay_max.count());
  const int steps = std::max(0, attempts_made - 1);
  if (policy.backoff == Backoff::kSchedule && !policy.schedule.empty()) {
    const std::size_t index = std::min(static_cast<std::size_t>(steps), policy.schedule.size() - 1);
    const auto delay = static_cast<double>(policy.schedule[index].count());
    return Jittered(delay, policy.jitter, 2 * delay, random);
  }
  const double grown = policy.backoff == Backoff::kLinear
                           ? std::min(first * (1 + steps), ceiling)
                           : Grown(first, policy.multiplier, steps, ceiling);
  return Jittered(grown, policy.jitter, ceiling, random);
}

Microseconds RejectDelay(int count, Random& random) {
  constexpr double kFirst = 100'000;
  constexpr double kCeiling = 5'000'000;
  return Jittered(Grown(kFirst, 2, std::max(0, count - 1), kCeiling), 0.2, kCeiling, random);
}

}  // namespace penstock::broker
