// The engine's step: what became due, which lanes have something to do, and whose turn it is.
#include "services/event-broker/domain/delivery/engine.h"

#include <algorithm>
#include <utility>

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr int kWholeSend = 1000;
// The wall clock may jump: no timer relies on it for longer.
constexpr Microseconds kLookAhead = 1h;

}  // namespace

void DeliveryEngine::Tick(EngineTime now, EngineOutput& out) { Conclude(now, out); }

void DeliveryEngine::SetCapacity(std::size_t slots, EngineTime now, EngineOutput& out) {
  capacity_ = slots;
  queue_.SetCapacity(slots);
  Conclude(now, out);
}

void DeliveryEngine::SetCredit(const std::string& uid, std::size_t credit, EngineTime now,
                               EngineOutput& out) {
  const auto owner = owners_.find(uid);
  if (owner == owners_.end()) return;
  owner->second.credit = credit;
  TouchAll(owner->second);
  Conclude(now, out);
}

void DeliveryEngine::Touch(Lane& lane) {
  if (std::exchange(lane.touched, true)) return;
  touched_.push_back(&lane);
}

void DeliveryEngine::TouchAll(LaneOwner& owner) {
  for (Lane* lane : owner.lanes) Touch(*lane);
}

void DeliveryEngine::TouchTarget(Target& target) {
  if (const auto until = target.breaker().open_until(); until != target.timer) {
    if (target.timer) target_timers_.erase({*target.timer, target.id()});
    if (until) target_timers_.emplace(std::pair(*until, target.id()), &target);
    target.timer = until;
  }
  if (std::exchange(target.touched, true)) return;
  targets_touched_.push_back(&target);
}

void DeliveryEngine::FireTimers(EngineTime now) {
  while (!target_timers_.empty() && target_timers_.begin()->first.first <= now.monotonic) {
    Target& target = *target_timers_.begin()->second;
    target.Tick(now.monotonic);
    TouchTarget(target);
  }
  while (!lane_timers_.empty() && lane_timers_.begin()->first.first <= now.monotonic) {
    Lane& lane = *lane_timers_.begin()->second;
    lane_timers_.erase(lane_timers_.begin());
    lane.timer.reset();
    Touch(lane);
  }
}

// Lets as many lanes try as targets have room, in turn. True when there was any.
bool DeliveryEngine::WakeWaiters() {
  bool woken = false;
  std::vector<Target*> still;
  for (Target* target : std::exchange(targets_touched_, {})) {
    target->touched = false;
    for (int room = target->Room(); room > 0 && !target->waiters.empty(); --room) {
      const auto [lane, outlet] = target->waiters.front();
      target->waiters.pop_front();
      Outlet& woken_outlet = lane->outlets[static_cast<std::size_t>(outlet)];
      woken_outlet.waits = false;
      woken_outlet.woken = true;
      Touch(*lane);
      woken = true;
    }
    if (target->Room() > 0 && !target->waiters.empty()) still.push_back(target);
  }
  for (Target* target : still) TouchTarget(*target);
  return woken;
}

// Looks after a lane that something happened to.
void DeliveryEngine::Attend(Lane& lane, EngineTime now, EngineOutput& out) {
  if (lane.doubt_until && *lane.doubt_until <= now.monotonic) EndDoubt(lane, now);
  ExpireDue(lane, now);
  OrderScan(lane, out);
  if (lane.settings().pull) {
    while (const auto outlet = FindRetry(lane, now)) SendRetry(lane, *outlet, now, out);
    while (const auto outlet = FindFresh(lane, now)) SendFresh(lane, *outlet, now, out);
  } else {
    if (FindFresh(lane, now)) queue_.Queue(lane.fair, SendClass::kFresh);
    if (FindRetry(lane, now)) queue_.Queue(lane.fair, SendClass::kRetry);
  }
  SetTimer(lane, now);
  ReportEnd(lane, out);
}

// Gives up what is too old, also while nothing can be sent.
void DeliveryEngine::ExpireDue(Lane& lane, EngineTime now) {
  if (lane.paused() || DeadLettersFull(*lane.owner)) return;
  while (!lane.expiries.empty() && lane.expiries.begin()->first < now.wall) {
    Row& row = lane.rows.at(lane.expiries.begin()->second);
    lane.Unschedule(row);
    GiveUp(lane, RetryRow(row.state), DeadReason::kExpired, now);
  }
  while (const auto expiry = FreshExpiry(lane)) {
    if (*expiry >= now.wall) return;
    const Position position = lane.outlets[0].ready.front();
    lane.outlets[0].ready.pop_front();
    GiveUp(lane, lane.RowOf(position, position.append_time), DeadReason::kExpired, now);
  }
}

// When the next fresh event is too old: by the time to live, or by the maximum age while its
// target's breaker is open, unless it was too old before that. What would go to a dead-letter sink
// waits while there is no room for more rows.
std::optional<WallTime> DeliveryEngine::FreshExpiry(const Lane& lane) const {
  const Outlet& outlet = lane.outlets[0];
  if (outlet.ready.empty()) return std::nullopt;
  if (lane.settings().has_sink && lane.retry_rows() >= options_.rows_max) return std::nullopt;
  const Position& position = outlet.ready.front();
  const DeliverySettings& settings = lane.settings();
  std::optional<WallTime> expiry;
  if (settings.time_to_live) expiry = position.append_time + *settings.time_to_live;
  const bool blocks = settings.ordered && settings.on_exhausted == OnExhausted::kBlock;
  if (outlet.target == nullptr || !outlet.target->failing_since() || blocks) return expiry;
  const WallTime by_age = position.append_time + settings.retry.age_max;
  if (by_age >= *outlet.target->failing_since()) expiry = std::min(expiry.value_or(by_age), by_age);
  return expiry;
}

// The next moment at which something changes for the lane by time alone.
void DeliveryEngine::SetTimer(Lane& lane, EngineTime now) {
  std::optional<MonotonicTime> next = lane.doubt_until;
  const auto consider = [&](std::optional<MonotonicTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  if (MaySend(lane)) consider(NextSend(lane, now));
  if (!lane.paused() && !DeadLettersFull(*lane.owner)) consider(NextExpiry(lane, now));
  if (next == lane.timer) return;
  if (lane.timer) lane_timers_.erase({*lane.timer, lane.id});
  if (next) lane_timers_.emplace(std::pair(*next, lane.id), &lane);
  lane.timer = next;
}

// When a row becomes due, a batch has waited long enough, or the rate lets more go.
std::optional<MonotonicTime> DeliveryEngine::NextSend(Lane& lane, EngineTime now) {
  std::optional<MonotonicTime> next;
  const auto consider = [&](MonotonicTime time) {
    if (time > now.monotonic && (!next || time < *next)) next = time;
  };
  const bool full = DeadLettersFull(*lane.owner);
  bool has_work = false;
  for (std::size_t i = 0; i < lane.outlets.size(); ++i) {
    const Outlet& outlet = lane.outlets[i];
    if (full && i != lane.redrive_outlet()) continue;
    if (!outlet.due.empty()) consider(outlet.due.begin()->first);
    has_work = has_work || !outlet.ready.empty() ||
               (!outlet.due.empty() && outlet.due.begin()->first <= now.monotonic);
  }
  if (!has_work) return next;
  const int ready = static_cast<int>(lane.outlets[0].ready.size());
  if (ready > 0) consider(lane.batch_since + lane.settings().batch.wait_max);
  for (const int tokens : {1, std::clamp(ready, 1, BatchSize(lane))}) {
    if (lane.owner->rate) consider(lane.owner->rate->When(tokens, now.monotonic));
    if (lane.replay && lane.replay->rate) {
      consider(lane.replay->rate->When(tokens, now.monotonic));
    }
  }
  return next;
}

std::optional<MonotonicTime> DeliveryEngine::NextExpiry(const Lane& lane, EngineTime now) const {
  auto expiry = FreshExpiry(lane);
  if (!lane.expiries.empty()) {
    const WallTime row = lane.expiries.begin()->first;
    expiry = std::min(expiry.value_or(row), row);
  }
  if (!expiry) return std::nullopt;
  if (*expiry > now.wall + kLookAhead) return now.monotonic + kLookAhead;
  return now.monotonic + std::max(*expiry - now.wall, Microseconds(0)) + 1us;
}

// Lets lanes send in turn while there is capacity. While fresh events wait, retries have their
// share of the sends.
void DeliveryEngine::Pump(EngineTime now, EngineOutput& out) {
  const int share = static_cast<int>(options_.retry_share * kWholeSend);
  while (calls_ < capacity_) {
    FairQueue::Member* fresh = queue_.Next(SendClass::kFresh);
    FairQueue::Member* retry = queue_.Next(SendClass::kRetry);
    if (fresh == nullptr && retry == nullptr) return;
    const bool is_retry =
        retry != nullptr && (fresh == nullptr || retry_credit_ >= kWholeSend - share);
    const SendClass send_class = is_retry ? SendClass::kRetry : SendClass::kFresh;
    FairQueue::Member& member = is_retry ? *retry : *fresh;
    Lane& lane = *member.lane;
    const auto outlet = is_retry ? FindRetry(lane, now) : FindFresh(lane, now);
    if (!outlet) {
      // Another lane took what it had counted on.
      queue_.Unqueue(member, send_class);
      SetTimer(lane, now);
      continue;
    }
    const std::size_t sends_before = out.sends.size();
    if (is_retry) {
      SendRetry(lane, *outlet, now, out);
    } else {
      SendFresh(lane, *outlet, now, out);
    }
    Touch(lane);
    if (out.sends.size() == sends_before) continue;  // It was too old.
    queue_.Charge(member, send_class, CostOf(lane, out.sends.back()));
    if (fresh == nullptr || retry == nullptr) continue;
    retry_credit_ += is_retry ? share - kWholeSend : share;
  }
}

std::uint64_t DeliveryEngine::CostOf(const Lane& lane, const SendOrder& order) const {
  std::uint64_t cost = options_.delivery_cost_bytes;
  cost += lane.in_flight.at(order.key.sequence).position.bytes;
  for (const Sequence sequence : order.batch) {
    cost += options_.delivery_cost_bytes + lane.in_flight.at(sequence).position.bytes;
  }
  return cost;
}

// The end of every input.
void DeliveryEngine::Conclude(EngineTime now, EngineOutput& out) {
  if (!started_) started_ = now.monotonic;
  last_ = now;
  FireTimers(now);
  bool again = true;
  while (again) {
    WakeWaiters();
    while (!touched_.empty()) {
      for (Lane* lane : std::exchange(touched_, {})) {
        lane->touched = false;
        Attend(*lane, now, out);
      }
    }
    Pump(now, out);
    // Lanes that sent have a look after them; others may have the room that was left.
    again = !touched_.empty() || (calls_ < capacity_ && !targets_touched_.empty());
  }
  MaybePersist(now, out);
  out.wake_at.reset();
  const auto wake = [&](MonotonicTime at) {
    if (!out.wake_at || at < *out.wake_at) out.wake_at = at;
  };
  if (!lane_timers_.empty()) wake(lane_timers_.begin()->first.first);
  if (!target_timers_.empty()) wake(target_timers_.begin()->first.first);
  if (flush_at_ && !persisting_) wake(*flush_at_);
}

}  // namespace penstock::broker
