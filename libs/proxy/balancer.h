// Which address of an upstream gets the next request, and which get none for now. Pure: no I/O, the
// time is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "libs/base/time.h"

namespace penstock::proxy {

enum class Policy {
  kRoundRobin,     // In turn, as often as the weights say, evenly spread.
  kLeastRequests,  // The one with the fewest requests under way for its weight.
};

struct BalancerOptions {
  Policy policy = Policy::kRoundRobin;
  // One for each address, at least 1.
  std::vector<int> weights;
  // An address that fails so many requests in a row gets none for `ejection_time`; then one more
  // failure is enough until it has answered once. 0: never.
  int consecutive_failures = 5;
  Microseconds ejection_time = std::chrono::seconds(30);
  // At most this share of the addresses is ejected at a time, but always one where there are two,
  // and never the last that could be picked.
  int ejected_percent_max = 50;
};

// Bits of addresses; an upstream has at most kAddressesMax.
using AddressSet = std::uint64_t;
inline constexpr std::size_t kAddressesMax = 64;

// The view of one event loop, which judges by its own requests. Not thread-safe.
class Balancer {
 public:
  enum class Result {
    kSuccess,
    kFailure,
    kNeutral,  // Says nothing about the address: the client went away.
  };

  explicit Balancer(BalancerOptions options);

  // The address for a request, which then counts as under way there; those in `tried` only when
  // there is no other. Nothing when active checks find none healthy.
  std::optional<std::size_t> Pick(MonotonicTime now, AddressSet tried);

  // The request at `address` is over; true when that ejects the address.
  bool OnEnd(std::size_t address, Result result, MonotonicTime now);

  // What active checks found.
  void SetHealthy(std::size_t address, bool healthy) { states_[address].is_healthy = healthy; }

  bool IsAvailable(std::size_t address, MonotonicTime now) const;
  int under_way(std::size_t address) const { return states_[address].under_way; }
  std::size_t size() const { return states_.size(); }

 private:
  struct State {
    int weight = 1;
    int under_way = 0;
    int failures = 0;
    // Of the round: how far behind its share the address is.
    int credit = 0;
    bool is_healthy = true;
    std::optional<MonotonicTime> ejected_until;
  };

  bool MayEject(MonotonicTime now) const;
  std::optional<std::size_t> PickFrom(AddressSet candidates);

  const BalancerOptions options_;
  std::vector<State> states_;
};

struct HealthThresholds {
  // Successful checks in a row that make an address healthy, and failed ones that make it
  // unhealthy.
  int healthy = 2;
  int unhealthy = 3;

  bool operator==(const HealthThresholds&) const = default;
};

// Turns the results of active checks of one address into its health; healthy at first.
class HealthJudge {
 public:
  explicit HealthJudge(HealthThresholds thresholds) : thresholds_(thresholds) {}

  // True when this result changes the health.
  bool OnCheck(bool passed);
  bool is_healthy() const { return is_healthy_; }

 private:
  const HealthThresholds thresholds_;
  bool is_healthy_ = true;
  // Results in a row that speak against the present health.
  int contrary_ = 0;
};

}  // namespace penstock::proxy
