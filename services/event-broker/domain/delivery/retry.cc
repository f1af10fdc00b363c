#include "services/event-broker/domain/delivery/retry.h"

#include <algorithm>
#include <cmath>

namespace penstock::broker {
namespace {

Microseconds Jittered(double micros, double share, double ceiling, Random& random) {
  const double factor = 1 + share * (2 * random.Unit() - 1);
  return Microseconds(std::llround(std::clamp(micros * factor, 1.0, ceiling)));
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
  const auto ceiling = static_cast<double>(policy.delay_max.count());
  const double grown = static_cast<double>(policy.delay_initial.count()) *
                       std::pow(policy.multiplier, std::max(0, attempts_made - 1));
  return Jittered(std::min(grown, ceiling), policy.jitter, ceiling, random);
}

Microseconds RejectDelay(int count, Random& random) {
  constexpr double kFirst = 100'000;
  constexpr double kCeiling = 5'000'000;
  const double grown = kFirst * std::pow(2.0, std::clamp(count - 1, 0, 10));
  return Jittered(std::min(grown, kCeiling), 0.2, kCeiling, random);
}

}  // namespace penstock::broker
