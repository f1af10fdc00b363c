#include "libs/proxy/balancer.h"

#include <algorithm>
#include <utility>

namespace penstock::proxy {
namespace {

constexpr AddressSet Bit(std::size_t address) { return AddressSet{1} << address; }

}  // namespace

Balancer::Balancer(BalancerOptions options) : options_(std::move(options)) {
  states_.resize(options_.weights.size());
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i].weight = options_.weights[i];
}

bool Balancer::IsAvailable(std::size_t address, MonotonicTime now) const {
  const State& state = states_[address];
  return state.is_healthy && (!state.ejected_until.has_value() || *state.ejected_until <= now);
}

std::optional<std::size_t> Balancer::Pick(MonotonicTime now, AddressSet tried) {
  AddressSet available = 0;
  AddressSet healthy = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].is_healthy) healthy |= Bit(i);
    if (IsAvailable(i, now)) available |= Bit(i);
  }
  // Checks may have turned against the others after one was ejected: an ejected address is better
  // than none.
  if (available == 0) available = healthy;
  if ((available & ~tried) != 0) available &= ~tried;
  const std::optional<std::size_t> picked = PickFrom(available);
  if (picked.has_value()) ++states_[*picked].under_way;
  return picked;
}

std::optional<std::size_t> Balancer::PickFrom(AddressSet candidates) {
  // Each candidate earns its weight, the richest pays what all earned: over a round each is picked
  // as often as its weight says, spread evenly. Also breaks ties of the other policy fairly.
  const bool by_requests = options_.policy == Policy::kLeastRequests;
  std::optional<std::size_t> best;
  int total = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if ((candidates & Bit(i)) == 0) continue;
    State& state = states_[i];
    state.credit += state.weight;
    total += state.weight;
    if (!best.has_value()) {
      best = i;
      continue;
    }
    const State& other = states_[*best];
    // Compares (under_way + 1) / weight without dividing.
    const std::int64_t load = std::int64_t{state.under_way + 1} * other.weight;
    const std::int64_t other_load = std::int64_t{other.under_way + 1} * state.weight;
    const bool is_better =
        by_requests && load != other_load ? load < other_load : state.credit > other.credit;
    if (is_better) best = i;
  }
  if (best.has_value()) states_[*best].credit -= total;
  return best;
}

bool Balancer::MayEject(MonotonicTime now) const {
  std::size_t ejected = 0;
  std::size_t available = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if (state.ejected_until.has_value() && *state.ejected_until > now) ++ejected;
    if (IsAvailable(i, now)) ++available;
  }
  const std::size_t share =
      states_.size() * static_cast<std::size_t>(options_.ejected_percent_max) / 100;
  return available > 1 && ejected < std::max<std::size_t>(share, 1);
}

bool Balancer::OnEnd(std::size_t address, Result result, MonotonicTime now) {
  State& state = states_[address];
  --state.under_way;
  if (result == Result::kNeutral) return false;
  if (result == Result::kSuccess) {
    state.failures = 0;
    return false;
  }
  // Requests that were under way when the address was ejected fail after it.
  if (state.ejected_until.has_value() && *state.ejected_until > now) return false;
  ++state.failures;
  const int limit = options_.consecutive_failures;
  if (limit == 0 || state.failures < limit || !MayEject(now)) return false;
  state.ejected_until = now + options_.ejection_time;
  state.failures = limit - 1;
  return true;
}

bool HealthJudge::OnCheck(bool passed) {
  if (passed == is_healthy_) {
    contrary_ = 0;
    return false;
  }
  const int needed = is_healthy_ ? thresholds_.unhealthy : thresholds_.healthy;
  if (++contrary_ < needed) return false;
  is_healthy_ = passed;
  contrary_ = 0;
  return true;
}

}  // namespace penstock::proxy
