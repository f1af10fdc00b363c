#include "services/event-broker/domain/delivery/engine.h"

#include <algorithm>
#include <utility>

namespace penstock::broker {

DeliveryEngine::DeliveryEngine(EngineOptions options, Sequence matched_through)
    : options_(options), random_(options.seed), matched_through_(matched_through) {}

void DeliveryEngine::Restore(const std::string& uid, const DeliverySettings& settings,
                             const Cursor* cursor, const std::vector<RetryRow>& rows,
                             EngineTime now, EngineOutput& out) {
  Lane& lane = lanes_[uid];
  lane.uid = uid;
  lane.settings = settings;
  lane.saved_dirty = cursor != nullptr;
  lane.changed = false;
  Load(lane, cursor != nullptr ? *cursor : Cursor{matched_through_, {}}, rows, now);
  MarkReady(lane);
  Conclude(now, out);
}

void DeliveryEngine::Load(Lane& lane, const Cursor& cursor, const std::vector<RetryRow>& rows,
                          EngineTime now) {
  for (const RetryRow& stored : rows) {
    RetryRow row = stored;
    // The wall clock may have jumped while we were away: nothing waits longer than it was meant to.
    const Microseconds remaining = std::clamp(row.due - now.wall, Microseconds(0), row.delay);
    lane.due.emplace(now.monotonic + remaining, row.position.sequence);
    lane.rows.emplace(row.position.sequence, std::move(row));
  }
  if (cursor.floor < matched_through_) {
    lane.catching_up = true;
    lane.scan_next = cursor.floor + 1;
    lane.acked.insert(cursor.acked.begin(), cursor.acked.end());
    lane.skip = lane.acked;
    for (const auto& [sequence, row] : lane.rows) {
      if (sequence > cursor.floor) lane.skip.insert(sequence);
    }
  }
  for (const auto& [time, sequence] : lane.due) wakes_.emplace(time, lane.uid);
}

void DeliveryEngine::Add(const std::string& uid, const DeliverySettings& settings, EngineTime now,
                         EngineOutput& out) {
  Lane& lane = lanes_[uid];
  lane.uid = uid;
  lane.settings = settings;
  Conclude(now, out);
}

void DeliveryEngine::ChangeSettings(const std::string& uid, const DeliverySettings& settings,
                                    EngineTime now, EngineOutput& out) {
  const auto at = lanes_.find(uid);
  if (at == lanes_.end()) return;
  at->second.settings = settings;
  MarkReady(at->second);
  Conclude(now, out);
}

void DeliveryEngine::Remove(const std::string& uid, EngineTime now, EngineOutput& out) {
  const auto at = lanes_.find(uid);
  if (at != lanes_.end()) {
    for (const auto& [sequence, flight] : at->second.in_flight) {
      out.cancels.emplace_back(DeliveryKey{uid, sequence}, flight.attempt);
    }
    in_flight_ -= at->second.in_flight.size();
    lanes_.erase(at);
  }
  std::erase(ready_, uid);
  std::erase_if(rows_touched_, [&](const DeliveryKey& key) { return key.uid == uid; });
  forgotten_.push_back(uid);
  dirty_ = true;
  Conclude(now, out);
}

void DeliveryEngine::Matched(const std::vector<Match>& matches, Sequence through, EngineTime now,
                             EngineOutput& out) {
  // First the matches, with the old mark: a lane that overflows here goes on scanning from its own
  // match.
  for (const Match& match : matches) {
    const auto at = lanes_.find(match.uid);
    if (at == lanes_.end() || at->second.catching_up) continue;
    Lane& lane = at->second;
    if (lane.window.size() >= options_.window) {
      lane.catching_up = true;
      lane.scan_next = match.position.sequence;
      Dirty(lane);
      continue;
    }
    Accept(lane, match.position);
  }
  matched_through_ = std::max(matched_through_, through);
  dirty_ = true;
  Conclude(now, out);
}

void DeliveryEngine::Scanned(const std::string& uid, const std::vector<Position>& positions,
                             Sequence next, EngineTime now, EngineOutput& out) {
  const auto at = lanes_.find(uid);
  if (at == lanes_.end() || !at->second.scanning) return;
  Lane& lane = at->second;
  lane.scanning = false;
  for (const Position& position : positions) {
    if (lane.skip.erase(position.sequence) == 0) Accept(lane, position);
  }
  lane.scan_next = std::max(lane.scan_next, next);
  lane.skip.erase(lane.skip.begin(), lane.skip.lower_bound(lane.scan_next));
  if (lane.scan_next > matched_through_) lane.catching_up = false;
  Dirty(lane);
  MarkReady(lane);
  Conclude(now, out);
}

void DeliveryEngine::Accept(Lane& lane, const Position& position) {
  lane.window.push_back(position);
  Dirty(lane);
  MarkReady(lane);
}

void DeliveryEngine::Finished(const std::vector<DeliveryResult>& results, EngineTime now,
                              EngineOutput& out) {
  for (const DeliveryResult& result : results) FinishOne(result, now);
  results_since_flush_ += results.size();
  Conclude(now, out);
}

void DeliveryEngine::FinishOne(const DeliveryResult& result, EngineTime now) {
  const auto at = lanes_.find(result.key.uid);
  if (at == lanes_.end()) {
    ++counters_.unknown_results;
    return;
  }
  Lane& lane = at->second;
  const auto flight_at = lane.in_flight.find(result.key.sequence);
  if (flight_at == lane.in_flight.end() || flight_at->second.attempt != result.attempt) {
    ++counters_.unknown_results;
    return;
  }
  const InFlight flight = flight_at->second;
  lane.in_flight.erase(flight_at);
  lane.fresh.erase(flight.position.sequence);
  --in_flight_;
  if (result.outcome == DeliveryOutcome::kSucceeded) {
    Succeed(lane, flight);
  } else {
    Fail(lane, flight, result, now);
  }
  Dirty(lane);
  MarkReady(lane);
}

void DeliveryEngine::Succeed(Lane& lane, const InFlight& flight) {
  ++counters_.succeeded;
  const Sequence sequence = flight.position.sequence;
  const auto row = lane.rows.find(sequence);
  if (row != lane.rows.end()) {
    if (row->second.redrives > 0) dead_removed_.push_back({lane.uid, sequence});
    lane.rows.erase(row);
    TouchRow(lane, sequence);
  }
  lane.acked.insert(sequence);
}

RetryRow DeliveryEngine::RowOf(const Lane& lane, const InFlight& flight) const {
  const auto row = lane.rows.find(flight.position.sequence);
  if (row != lane.rows.end()) return row->second;
  RetryRow fresh;
  fresh.position = flight.position;
  fresh.age_from = flight.position.append_time;
  return fresh;
}

void DeliveryEngine::Fail(Lane& lane, const InFlight& flight, const DeliveryResult& result,
                          EngineTime now) {
  RetryRow row = RowOf(lane, flight);
  if (result.outcome == DeliveryOutcome::kRejected) {
    ++counters_.rejected;
    ++row.rejected;
    const Microseconds delay = RejectDelay(row.rejected, random_);
    return Wait(lane, std::move(row), std::max(delay, result.retry_after.value_or(delay)), now);
  }
  row.rejected = 0;
  DeliveryError error = result.error;
  if (result.outcome == DeliveryOutcome::kUnknown) {
    ++counters_.lost;
    if (++row.lost < options_.lost_max) {
      const Microseconds delay = RejectDelay(row.lost, random_);
      return Wait(lane, std::move(row), delay, now);
    }
    error = {"SystemError", "ExecutorLost", "the executor was lost while it ran this delivery"};
  }
  row.lost = 0;
  ++row.attempts_made;
  row.log.push_back({result.attempt, flight.sent_wall, result.duration, std::move(error),
                     result.execution, result.http_status});
  if (row.log.size() > options_.attempt_log_max) row.log.erase(row.log.begin());
  if (result.outcome == DeliveryOutcome::kPermanent) {
    return GiveUp(lane, std::move(row), DeadReason::kPermanent, now);
  }
  const RetryPolicy& policy = lane.settings.retry;
  if (row.attempts_made >= policy.attempts_max) {
    return GiveUp(lane, std::move(row),
                  result.outcome == DeliveryOutcome::kUnknown ? DeadReason::kExecutorLost
                                                              : DeadReason::kAttemptsExhausted,
                  now);
  }
  const Microseconds delay = std::max(RetryDelay(policy, row.attempts_made, random_),
                                      result.retry_after.value_or(Microseconds(0)));
  ++counters_.retried;
  Wait(lane, std::move(row), delay, now);
}

void DeliveryEngine::Wait(Lane& lane, RetryRow row, Microseconds delay, EngineTime now) {
  // What would only be tried after its maximum age is given up now, so that nobody waits for
  // nothing.
  if (now.wall + delay - row.age_from > lane.settings.retry.age_max) {
    return GiveUp(lane, std::move(row), DeadReason::kExpired, now);
  }
  row.delay = delay;
  row.due = now.wall + delay;
  const Sequence sequence = row.position.sequence;
  lane.due.emplace(now.monotonic + delay, sequence);
  wakes_.emplace(now.monotonic + delay, lane.uid);
  lane.rows.insert_or_assign(sequence, std::move(row));
  TouchRow(lane, sequence);
}

void DeliveryEngine::GiveUp(Lane& lane, RetryRow row, DeadReason reason, EngineTime now) {
  ++counters_.dead;
  const Sequence sequence = row.position.sequence;
  dead_.push_back({{lane.uid, sequence},
                   row.position.append_time,
                   reason,
                   row.attempts_made,
                   row.redrives,
                   now.wall,
                   std::move(row.log)});
  if (lane.rows.erase(sequence) > 0) TouchRow(lane, sequence);
  lane.acked.insert(sequence);
}

void DeliveryEngine::SetCapacity(std::size_t slots, EngineTime now, EngineOutput& out) {
  capacity_ = slots;
  Conclude(now, out);
}

bool DeliveryEngine::Redrive(const std::string& uid, RetryRow row, EngineTime now,
                             EngineOutput& out) {
  const auto at = lanes_.find(uid);
  if (at == lanes_.end()) return false;
  Lane& lane = at->second;
  const Sequence sequence = row.position.sequence;
  if (lane.rows.contains(sequence) || lane.in_flight.contains(sequence)) return true;
  row.age_from = now.wall;
  row.due = now.wall;
  row.delay = Microseconds(0);
  lane.acked.erase(sequence);
  lane.due.emplace(now.monotonic, sequence);
  lane.rows.emplace(sequence, std::move(row));
  TouchRow(lane, sequence);
  Dirty(lane);
  MarkReady(lane);
  Conclude(now, out);
  return true;
}

void DeliveryEngine::MarkReady(Lane& lane) {
  if (lane.queued) return;
  lane.queued = true;
  ready_.push_back(lane.uid);
}

bool DeliveryEngine::CanSend(const Lane& lane, EngineTime now) const {
  if (lane.settings.paused) return false;
  if (lane.in_flight.size() >= static_cast<std::size_t>(lane.settings.in_flight_max)) return false;
  if (!lane.due.empty() && lane.due.begin()->first <= now.monotonic) return true;
  return !lane.window.empty() && lane.rows.size() < options_.rows_max;
}

bool DeliveryEngine::SendOne(Lane& lane, EngineTime now, EngineOutput& out) {
  if (!CanSend(lane, now)) return false;
  InFlight flight;
  flight.sent_wall = now.wall;
  const bool retry = !lane.due.empty() && lane.due.begin()->first <= now.monotonic;
  bool redriven = false;
  if (retry) {
    const Sequence sequence = lane.due.begin()->second;
    lane.due.erase(lane.due.begin());
    const RetryRow& row = lane.rows.at(sequence);
    flight.position = row.position;
    flight.attempt = row.attempts_made + 1;
    redriven = row.redrives > 0;
  } else {
    flight.position = lane.window.front();
    lane.window.pop_front();
    lane.fresh.insert(flight.position.sequence);
  }
  out.sends.push_back({{lane.uid, flight.position.sequence}, flight.attempt, redriven});
  lane.in_flight.emplace(flight.position.sequence, flight);
  ++in_flight_;
  return true;
}

void DeliveryEngine::WakeDueLanes(EngineTime now) {
  while (!wakes_.empty() && wakes_.begin()->first <= now.monotonic) {
    const auto lane = lanes_.find(wakes_.begin()->second);
    wakes_.erase(wakes_.begin());
    if (lane != lanes_.end()) MarkReady(lane->second);
  }
}

void DeliveryEngine::Pump(EngineTime now, EngineOutput& out) {
  WakeDueLanes(now);
  // One delivery a lane and turn, so that a busy subscription takes no more than its share.
  while (in_flight_ < capacity_ && !ready_.empty()) {
    Lane& lane = lanes_.at(ready_.front());
    ready_.pop_front();
    lane.queued = false;
    if (SendOne(lane, now, out)) MarkReady(lane);
    OrderScan(lane, out);
  }
  if (in_flight_ < capacity_) return;
  // Without capacity the lanes still have to fill their windows.
  for (const std::string& uid : ready_) OrderScan(lanes_.at(uid), out);
}

void DeliveryEngine::OrderScan(Lane& lane, EngineOutput& out) {
  if (!lane.catching_up || lane.scanning || lane.window.size() > options_.window / 2) return;
  if (lane.scan_next > matched_through_) {
    lane.catching_up = false;
    return;
  }
  lane.scanning = true;
  out.scans.push_back(
      {lane.uid, lane.scan_next, matched_through_, options_.window - lane.window.size()});
}

void DeliveryEngine::Conclude(EngineTime now, EngineOutput& out) {
  Pump(now, out);
  MaybePersist(now, out);
  out.wake_at.reset();
  if (!wakes_.empty()) out.wake_at = wakes_.begin()->first;
  if (flush_at_ && !persisting_ && (!out.wake_at || *flush_at_ < *out.wake_at)) {
    out.wake_at = flush_at_;
  }
}

void DeliveryEngine::Tick(EngineTime now, EngineOutput& out) { Conclude(now, out); }

std::optional<SubscriptionProgress> DeliveryEngine::Progress(const std::string& uid) const {
  const auto at = lanes_.find(uid);
  if (at == lanes_.end()) return std::nullopt;
  const Lane& lane = at->second;
  SubscriptionProgress progress;
  progress.floor = FloorOf(lane);
  progress.in_flight = lane.in_flight.size();
  progress.retrying = lane.rows.size();
  progress.waiting = lane.window.size();
  progress.catching_up = lane.catching_up;
  const auto consider = [&](WallTime time) {
    if (!progress.oldest_pending || time < *progress.oldest_pending) progress.oldest_pending = time;
  };
  if (!lane.window.empty()) consider(lane.window.front().append_time);
  for (const auto& [sequence, flight] : lane.in_flight) consider(flight.position.append_time);
  if (!lane.rows.empty()) consider(lane.rows.begin()->second.position.append_time);
  return progress;
}

}  // namespace penstock::broker
