// What becomes of an event after an attempt.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

// An event counts once: as dead when it went to the sink or is a dead letter, until that is
// redriven and delivered.
void CountForReplay(Lane::ReplayState& replay, bool sunk, bool redriven) {
  if (!redriven) {
    ++(sunk ? replay.dead : replay.delivered);
  } else if (!sunk && replay.dead > 0) {
    --replay.dead;
    ++replay.delivered;
  }
}

}  // namespace

void DeliveryEngine::Finished(const std::vector<DeliveryResult>& results, EngineTime now,
                              EngineOutput& out) {
  for (const DeliveryResult& result : results) FinishOne(result, now);
  results_since_flush_ += results.size();
  Conclude(now, out);
}

void DeliveryEngine::FinishOne(const DeliveryResult& result, EngineTime now) {
  Lane* lane = FindLane(result.key.uid);
  if (lane == nullptr) {
    ++counters_.unknown_results;
    return;
  }
  const auto at = lane->in_flight.find(result.key.sequence);
  if (at == lane->in_flight.end() || at->second.attempt != result.attempt) {
    ++counters_.unknown_results;
    return;
  }
  const Flight flight = at->second;
  lane->in_flight.erase(at);
  --in_flight_;
  EndCall(*lane, flight, TargetReport::Of(result), now);
  const bool is_cancelled = lane->cancelled.erase(result.key.sequence) > 0;
  if (result.outcome == DeliveryOutcome::kSucceeded) {
    Succeed(*lane, flight, now);
  } else if (is_cancelled) {
    const Row* row = lane->FindRow(result.key.sequence);
    if (row != nullptr && row->state.redrives > 0) dead_removed_.push_back(result.key);
    Settle(*lane, flight.position, now);
  } else {
    Fail(*lane, flight, result, now);
  }
  if (lane->ledger.done() > options_.acked_max) MoveSlowIntoRows(*lane, now);
  MarkChanged(*lane);
  Touch(*lane);
}

// A batch is one call, which ends with the last of its members.
void DeliveryEngine::EndCall(Lane& lane, const Flight& flight, const TargetReport& report,
                             EngineTime now) {
  if (flight.call != kNoSequence) {
    const auto batch = lane.batches.find(flight.call);
    if (--batch->second > 0) return;
    lane.batches.erase(batch);
  }
  --lane.calls;
  if (flight.counted) {
    --calls_;
    queue_.CallEnded(*flight.space);
  }
  if (flight.target == nullptr) return;
  if (flight.target->End(flight.probe, report, now.wall, now.monotonic)) {
    ++counters_.breakers_opened;
  }
  TouchTarget(*flight.target);
  LeaveTarget(flight.target);
}

void DeliveryEngine::Succeed(Lane& lane, const Flight& flight, EngineTime now) {
  const DeliverySettings& settings = lane.settings();
  RetryRow row = lane.RowOf(flight.position, flight.sent);
  const bool last =
      settings.first_success || static_cast<std::size_t>(row.member) + 1 >= lane.members;
  if (!flight.to_sink && !last) {
    // The next of the group, at once. Kept in memory only, unless the store knows the event.
    row.kind = RowKind::kRetry;
    ++row.member;
    row.attempts_made = row.lost = row.rejected = 0;
    row.attempts_sent = flight.attempt;
    row.due = now.wall;
    Row& next = lane.PutRow(std::move(row));
    next.due_at = now.monotonic;
    if (next.wanted) lane.WantRow(next);
    return MakeReady(lane, lane.OutletOf(next.state), flight.position, now);
  }
  if (flight.to_sink) {
    ++counters_.sunk;
  } else {
    ++counters_.succeeded;
    lane.delivered.Add(now.monotonic);
  }
  if (lane.replay) CountForReplay(*lane.replay, flight.to_sink, row.redrives > 0);
  if (row.redrives > 0) {
    dead_removed_.push_back({lane.uid, flight.position.sequence});
  }
  Settle(lane, flight.position, now);
}

// Nothing is left to do with the event.
void DeliveryEngine::Settle(Lane& lane, const Position& position, EngineTime now) {
  lane.DropRow(position.sequence);
  lane.ledger.Set(position.sequence, Ledger::State::kDone);
  MarkChanged(lane);
  Touch(lane);
  if (lane.settings().ordered) LeaveKey(lane, position, now);
}

void DeliveryEngine::Fail(Lane& lane, const Flight& flight, const DeliveryResult& result,
                          EngineTime now) {
  RetryRow row = lane.RowOf(flight.position, flight.sent);
  if (row.kind == RowKind::kHeld) row.kind = RowKind::kRetry;
  if (result.outcome == DeliveryOutcome::kRejected) {
    // It never began, so that its number is free.
    ++counters_.rejected;
    ++row.rejected;
    const Microseconds delay = RejectDelay(row.rejected, random_);
    return RetryLater(lane, std::move(row), std::max(delay, result.retry_after.value_or(delay)),
                      now);
  }
  row.rejected = 0;
  row.attempts_sent = flight.attempt;
  DeliveryError error = result.error;
  if (result.outcome == DeliveryOutcome::kUnknown) {
    ++counters_.lost;
    if (++row.lost < options_.lost_max) {
      const Microseconds delay = RejectDelay(row.lost, random_);
      return RetryLater(lane, std::move(row), delay, now);
    }
    error = {"SystemError", "ExecutorLost", "the executor was lost while it ran this delivery"};
  }
  if (result.outcome == DeliveryOutcome::kExpired) {
    return GiveUp(lane, std::move(row), DeadReason::kExpired, now);
  }
  if (result.outcome == DeliveryOutcome::kGone) {
    return Bury(lane, std::move(row), DeadReason::kRetention, now);
  }
  row.lost = 0;
  ++row.attempts_made;
  lane.failed.Add(now.monotonic);
  // The sink's own failures do not push out why the event went there.
  if (row.kind != RowKind::kSink) {
    row.log.push_back({result.attempt, flight.sent, result.duration, std::move(error),
                       result.execution, result.http_status});
    if (row.log.size() > options_.attempt_log_max) row.log.erase(row.log.begin());
  }
  if (result.outcome == DeliveryOutcome::kHopLimit) {
    return GiveUp(lane, std::move(row), DeadReason::kHopLimit, now);
  }
  if (result.outcome == DeliveryOutcome::kPermanent) {
    return Exhaust(lane, std::move(row), DeadReason::kPermanent, result, now);
  }
  const RetryPolicy sink_policy;
  const RetryPolicy& policy = row.kind == RowKind::kSink ? sink_policy : lane.settings().retry;
  if (row.attempts_made >= policy.attempts_max) {
    const bool lost = result.outcome == DeliveryOutcome::kUnknown;
    return Exhaust(lane, std::move(row),
                   lost ? DeadReason::kExecutorLost : DeadReason::kAttemptsExhausted, result, now);
  }
  ++counters_.retried;
  const Microseconds delay = RetryDelay(policy, row.attempts_made, random_);
  RetryLater(lane, std::move(row), std::max(delay, result.retry_after.value_or(delay)), now);
}

// The policy is used up, or the failure is for good: it is the next member's turn, or the key waits
// until it works, or the event is given up.
void DeliveryEngine::Exhaust(Lane& lane, RetryRow row, DeadReason reason,
                             const DeliveryResult& result, EngineTime now) {
  const DeliverySettings& settings = lane.settings();
  if (row.kind == RowKind::kSink) return GiveUp(lane, std::move(row), row.dead_reason, now);
  if (settings.first_success && static_cast<std::size_t>(row.member) + 1 < lane.members) {
    ++row.member;
    row.attempts_made = 0;
    return RetryLater(lane, std::move(row), Microseconds(0), now);
  }
  if (lane.Blocks(row)) {
    ++counters_.retried;
    const Microseconds delay = settings.retry.delay_max;
    return RetryLater(lane, std::move(row), std::max(delay, result.retry_after.value_or(delay)),
                      now);
  }
  GiveUp(lane, std::move(row), reason, now);
}

void DeliveryEngine::RetryLater(Lane& lane, RetryRow row, Microseconds delay, EngineTime now) {
  row.delay = delay;
  row.due = now.wall + delay;
  // What would only be tried when it is too old is given up now, so that nobody waits for nothing.
  if (lane.ExpiryOf(row) < row.due) {
    return GiveUp(lane, std::move(row), DeadReason::kExpired, now);
  }
  if (Row* before = lane.FindRow(row.position.sequence)) lane.Unschedule(*before);
  Row& kept = lane.PutRow(std::move(row));
  kept.due_at = now.monotonic + delay;
  lane.WantRow(kept);
  lane.Schedule(kept);
  MarkChanged(lane);
  Touch(lane);
}

void DeliveryEngine::GiveUp(Lane& lane, RetryRow row, DeadReason reason, EngineTime now) {
  if (row.kind == RowKind::kSink) return Bury(lane, std::move(row), row.dead_reason, now);
  if (reason == DeadReason::kExpired) ++counters_.expired;
  const Position position = row.position;
  const bool fails_key = lane.Ordered(row) && reason != DeadReason::kKeyFailed &&
                         lane.settings().on_exhausted == OnExhausted::kDeadLetterKey;
  if (fails_key) FailKey(lane, position, now);
  if (lane.settings().has_sink) return MoveToSink(lane, std::move(row), reason, now);
  Bury(lane, std::move(row), reason, now);
}

void DeliveryEngine::MoveToSink(Lane& lane, RetryRow row, DeadReason reason, EngineTime now) {
  const Position position = row.position;
  row.kind = RowKind::kSink;
  row.dead_reason = reason;
  row.attempts_made = row.lost = row.rejected = 0;
  row.age_from = now.wall;
  RetryLater(lane, std::move(row), Microseconds(0), now);
  // It does not hold its key any more.
  if (lane.settings().ordered) LeaveKey(lane, position, now);
}

void DeliveryEngine::Bury(Lane& lane, RetryRow row, DeadReason reason, EngineTime now) {
  ++counters_.dead;
  const Position position = row.position;
  ++lane.owner->dead.letters;
  lane.owner->dead.bytes += position.bytes;
  if (row.redrives == 0 && lane.replay) ++lane.replay->dead;
  DeadDelivery dead;
  dead.key = {lane.uid, position.sequence};
  dead.append_time = position.append_time;
  dead.reason = reason;
  dead.attempts = row.kind == RowKind::kSink ? AttemptsBeforeSink(row) : row.attempts_made;
  dead.redrives = row.redrives;
  dead.time = now.wall;
  dead.log = std::move(row.log);
  const auto failed = lane.failed_keys.find(position.key);
  const bool fails_key = failed != lane.failed_keys.end() && failed->second == position.sequence;
  if (fails_key) dead.ordering_key = position.key;
  if (reason == DeadReason::kRetention) dead.last_sequence = position.sequence;
  dead_.push_back(std::move(dead));
  Settle(lane, position, now);
}

}  // namespace penstock::broker
