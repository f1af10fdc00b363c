#include "services/event-broker/domain/delivery/breaker.h"

#include <algorithm>

namespace penstock::broker {

std::optional<int> Breaker::ProbesLeft() const {
  switch (state_) {
    case BreakerState::kClosed: return std::nullopt;
    case BreakerState::kOpen: return 0;
    case BreakerState::kHalfOpen: break;
  }
  return std::max(0, options_.probes - probes_);
}

bool Breaker::Begin() {
  if (state_ != BreakerState::kHalfOpen) return false;
  ++probes_;
  return true;
}

bool Breaker::End(bool probe, TargetHealth health, MonotonicTime now) {
  if (probe) --probes_;
  if (health == TargetHealth::kNothing) return false;
  // What began before the breaker opened says nothing new.
  if (state_ != BreakerState::kClosed) return probe && EndProbe(health, now);
  results_.Add(now);
  if (health == TargetHealth::kAlive) {
    failures_in_a_row_ = 0;
    return false;
  }
  failures_.Add(now);
  ++failures_in_a_row_;
  if (!ShouldOpen(now)) return false;
  Open(now);
  return true;
}

bool Breaker::EndProbe(TargetHealth health, MonotonicTime now) {
  if (state_ != BreakerState::kHalfOpen) return false;
  if (health == TargetHealth::kFailing) {
    Open(now);
    return true;
  }
  if (++successes_ >= options_.successes_close) Close();
  return false;
}

bool Breaker::ShouldOpen(MonotonicTime now) {
  if (failures_in_a_row_ >= options_.failures_min) return true;
  const auto results = static_cast<double>(results_.Sum(now));
  const auto failures = static_cast<double>(failures_.Sum(now));
  return results >= options_.failures_min && failures >= results * options_.failure_share;
}

void Breaker::Open(MonotonicTime now) {
  state_ = BreakerState::kOpen;
  open_until_ = now + open_for_;
  open_for_ = std::min(open_for_ * 2, options_.open_max);
  successes_ = 0;
}

void Breaker::Close() {
  state_ = BreakerState::kClosed;
  open_for_ = options_.open_first;
  failures_in_a_row_ = 0;
  results_.Clear();
  failures_.Clear();
}

void Breaker::Tick(MonotonicTime now) {
  if (state_ != BreakerState::kOpen || now < open_until_) return;
  state_ = BreakerState::kHalfOpen;
  successes_ = 0;
}

}  // namespace penstock::broker
