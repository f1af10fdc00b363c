// A rate limit in integers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

// Holds up to `burst` tokens and gets `per_second` new ones, counted in millionths, so that nothing
// is lost to rounding. Starts full.
class TokenBucket {
 public:
  TokenBucket(RateLimit limit, MonotonicTime now)
      : limit_(limit), level_(limit.burst * kToken), at_(now) {}

  const RateLimit& limit() const { return limit_; }

  // The limit changed: what is there stays, within the new burst.
  void Change(RateLimit limit, MonotonicTime now) {
    Refill(now);
    limit_ = limit;
    level_ = std::min(level_, limit_.burst * kToken);
  }

  bool Has(int tokens, MonotonicTime now) {
    Refill(now);
    return level_ >= tokens * kToken;
  }
  void Take(int tokens) { level_ -= tokens * kToken; }

  // When `tokens`, at most `burst`, are there.
  MonotonicTime When(int tokens, MonotonicTime now) {
    Refill(now);
    const std::int64_t missing = std::max<std::int64_t>(0, tokens * kToken - level_);
    return now + Microseconds((missing + limit_.per_second - 1) / limit_.per_second);
  }

 private:
  static constexpr std::int64_t kToken = 1'000'000;

  void Refill(MonotonicTime now) {
    if (now <= at_) return;
    const std::int64_t room = limit_.burst * kToken - level_;
    const std::int64_t micros = (now - at_).count();
    // One microsecond brings `per_second` millionths; the division keeps the product small.
    level_ += micros > room / limit_.per_second ? room : micros * limit_.per_second;
    at_ = now;
  }

  RateLimit limit_;
  std::int64_t level_;
  MonotonicTime at_;
};

}  // namespace penstock::broker
