// One function as deliveries see it: how many calls it takes at the same time, and whether it takes
// any.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "services/event-broker/domain/delivery/breaker.h"
#include "services/event-broker/domain/delivery/engine_options.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

struct Lane;

// What the end of a call says about its target.
struct TargetReport {
  TargetHealth health = TargetHealth::kNothing;
  bool congested = false;
  bool succeeded = false;

  static TargetReport Of(const DeliveryResult& result);
};

class Target {
 public:
  Target(std::string name, std::uint64_t id, const EngineOptions& options)
      : name_(std::move(name)),
        id_(id),
        window_max_(options.target_window_max),
        window_(options.target_window_first),
        breaker_(options.breaker) {}

  const std::string& name() const { return name_; }
  std::uint64_t id() const { return id_; }
  int window() const { return window_; }
  const Breaker& breaker() const { return breaker_; }
  // Calls that may begin now.
  int Room() const;
  // Since when deliveries wait for a breaker that does not close.
  std::optional<WallTime> failing_since() const { return failing_since_; }

  // A call begins; true when it is a probe of the breaker.
  bool Begin();
  // It ended, or was cancelled: then without a report. True when the breaker opened by that.
  bool End(bool probe, const TargetReport& report, WallTime wall, MonotonicTime now);
  void Tick(MonotonicTime now) { breaker_.Tick(now); }

  bool in_use() const { return users > 0 || calls_ > 0; }

  // For the engine. Lanes that refer to it; lanes and their outlets that wait for room, in turn;
  // whether the engine has to look at these; the timer of its breaker.
  int users = 0;
  std::deque<std::pair<Lane*, int>> waiters;
  bool touched = false;
  std::optional<MonotonicTime> timer;

 private:
  void Adapt(const TargetReport& report, MonotonicTime now);

  const std::string name_;
  const std::uint64_t id_;
  const int window_max_;
  int window_;
  int calls_ = 0;
  int successes_ = 0;  // Since the window changed.
  // Of the current second.
  std::optional<MonotonicTime> second_began_;
  int results_ = 0;
  int congested_ = 0;
  std::optional<MonotonicTime> cut_at_;
  Breaker breaker_;
  std::optional<WallTime> failing_since_;
};

}  // namespace penstock::broker
