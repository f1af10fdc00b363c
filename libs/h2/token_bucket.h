// A limit on how often something may happen.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace penstock::h2 {

// `burst` at once, and `per_second` more as time goes by.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenBucket(std::uint64_t burst, std::uint64_t per_second)
      : burst_(static_cast<double>(burst)),
        per_second_(static_cast<double>(per_second)),
        left_(burst_) {}

  // False when it has happened too often. `now` never goes back.
  bool Take(Time now) {
    if (last_ != Time()) {
      const std::chrono::duration<double> passed = now - last_;
      left_ = std::min(burst_, left_ + passed.count() * per_second_);
    }
    last_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

  // It may happen once more.
  void GiveBack() { left_ = std::min(burst_, left_ + 1); }

 private:
  const double burst_;
  const double per_second_;
  double left_;
  Time last_{};
};

}  // namespace penstock::h2
