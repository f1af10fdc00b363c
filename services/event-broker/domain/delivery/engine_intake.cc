// How events come into lanes: from the matcher at the head, or by scans.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

void DeliveryEngine::Matched(const std::vector<Match>& matches, Sequence through, EngineTime now,
                             EngineOutput& out) {
  // First the matches, with the old mark: a lane that overflows here goes on scanning from its own
  // match.
  for (const Match& match : matches) {
    Lane* lane = FindLane(match.uid);
    if (lane != nullptr && !lane->catching_up) TakeMatch(*lane, match.position, now);
  }
  const Sequence before = matched_through_;
  matched_through_ = std::max(matched_through_, through);
  for (Lane* lane : std::exchange(draining_, {})) PinAtLimit(*lane, before);
  for (Lane* lane : std::exchange(behind_, {})) {
    lane->behind = false;
    Touch(*lane);
  }
  dirty_ = true;
  Conclude(now, out);
}

void DeliveryEngine::TakeMatch(Lane& lane, const Position& position, EngineTime now) {
  if (position.sequence > lane.limit()) return;  // Pinned when the matches are taken.
  if (lane.pending() >= options_.window || IntakeBlocked(lane)) {
    return FallBehind(lane, position.sequence);
  }
  Accept(lane, position, now);
}

void DeliveryEngine::FallBehind(Lane& lane, Sequence next) {
  lane.catching_up = true;
  lane.scan_next = next;
  MarkChanged(lane);
  Touch(lane);
}

// What would take more only to hold it, or to bury it, takes nothing. Rows of before a restart wait
// for the scan to come by, so that it has to go on.
bool DeliveryEngine::IntakeBlocked(const Lane& lane) const {
  if (!lane.skip.empty()) return false;
  if (lane.held >= static_cast<std::size_t>(lane.settings().held_max)) return true;
  return !lane.failed_keys.empty() && DeadLettersFull(*lane.owner);
}

void DeliveryEngine::Accept(Lane& lane, const Position& position, EngineTime now) {
  lane.ledger.Add(position);
  if (lane.replay) ++lane.replay->matched;
  MarkChanged(lane);
  Touch(lane);
  if (!lane.Ordered(position)) return MakeReady(lane, 0, position, now);
  if (IsBehindFailed(lane, position)) {
    return GiveUp(lane, lane.RowOf(position, now.wall), DeadReason::kKeyFailed, now);
  }
  Arrive(lane, position, now);
}

// What comes before the letter, or is it, comes again where a cursor is older than the letter:
// after an adoption.
bool DeliveryEngine::IsBehindFailed(const Lane& lane, const Position& position) {
  const auto failed = lane.failed_keys.find(position.key);
  return failed != lane.failed_keys.end() && failed->second < position.sequence;
}

void DeliveryEngine::MakeReady(Lane& lane, std::size_t outlet, const Position& position,
                               EngineTime now) {
  std::deque<Position>& ready = lane.outlets[outlet].ready;
  if (ready.empty() && outlet == 0) lane.batch_since = now.monotonic;
  ready.push_back(position);
}

void DeliveryEngine::Scanned(const std::string& uid, const std::vector<Position>& positions,
                             Sequence next, EngineTime now, EngineOutput& out) {
  Lane* lane = FindLane(uid);
  if (lane == nullptr) return;
  if (lane->scans_stale > 0) {
    --lane->scans_stale;
    return;
  }
  if (!lane->scanning) return;
  lane->scanning = false;
  for (const Position& position : positions) {
    if (position.sequence < lane->scan_next) continue;
    PassSkipped(*lane, position.sequence, now);
    lane->scan_next = position.sequence + 1;
    if (lane->skip.erase(position.sequence) == 0) {
      Accept(*lane, position, now);
      continue;
    }
    const Row* row = lane->FindRow(position.sequence);
    lane->ledger.Add(position, row != nullptr ? Ledger::State::kRow : Ledger::State::kDone);
    if (row != nullptr && lane->Ordered(row->state)) PlaceSkipped(*lane, position, now);
  }
  lane->scan_next = std::max(lane->scan_next, next);
  PassSkipped(*lane, lane->scan_next, now);
  MarkChanged(*lane);
  Touch(*lane);
  Conclude(now, out);
}

// What the scans did not bring again, though it was there before: it has its turn all the same.
void DeliveryEngine::PassSkipped(Lane& lane, Sequence before, EngineTime now) {
  while (!lane.skip.empty() && *lane.skip.begin() < before) {
    const Sequence sequence = *lane.skip.begin();
    lane.skip.erase(lane.skip.begin());
    const Row* row = lane.FindRow(sequence);
    if (row == nullptr || !lane.Ordered(row->state)) continue;
    PlaceSkipped(lane, Position(row->state.position), now);
  }
}

// While a row waited for the scans, its key may have failed.
void DeliveryEngine::PlaceSkipped(Lane& lane, const Position& position, EngineTime now) {
  const bool is_dead =
      IsBehindFailed(lane, position) && !lane.in_flight.contains(position.sequence);
  if (!is_dead) return Place(lane, position, now);
  GiveUp(lane, lane.RowOf(position, now.wall), DeadReason::kKeyFailed, now);
}

void DeliveryEngine::Skipped(const std::string& uid, Sequence to, EngineTime now,
                             EngineOutput& out) {
  Lane* lane = FindLane(uid);
  if (lane == nullptr) return;
  to = std::min(to, lane->limit());
  if (to <= lane->TakenTo(matched_through_)) return;
  // One at the head comes back to it when the matcher has passed the range too.
  if (!lane->catching_up) FallBehind(*lane, matched_through_ + 1);
  DeadDelivery dead;
  dead.key = {uid, lane->scan_next};
  dead.reason = DeadReason::kRetention;
  dead.time = now.wall;
  dead.last_sequence = to;
  dead_.push_back(std::move(dead));
  ++counters_.dead;
  ++lane->owner->dead.letters;
  lane->scan_next = to + 1;
  lane->scanning = false;
  PassSkipped(*lane, lane->scan_next, now);
  MarkChanged(*lane);
  TouchAll(*lane->owner);
  Conclude(now, out);
}

void DeliveryEngine::OrderScan(Lane& lane, EngineOutput& out) {
  if (!lane.catching_up || lane.scanning) return;
  if (lane.scan_next > std::min(matched_through_, lane.limit())) {
    if (lane.scan_next > lane.limit()) return PlaceAboveLimit(lane, last_);
    if (lane.replay || lane.behind || lane.scan_next > matched_through_ + 1) {
      return WaitForMatcher(lane);
    }
    lane.catching_up = false;
    StopAtLimit(lane, last_);
    return;
  }
  const std::size_t pending = lane.pending();
  if (pending > options_.window / 2 || IntakeBlocked(lane)) return;
  std::size_t room = options_.window - pending;
  const auto held_max = static_cast<std::size_t>(lane.settings().held_max);
  if (lane.settings().ordered && lane.held < held_max) room = std::min(room, held_max - lane.held);
  lane.scanning = true;
  out.scans.push_back({lane.uid, lane.scan_next, std::min(matched_through_, lane.limit()), room});
}

// No scan brings again what lies above the limit. What was sent before the limit was known has its
// turn without one: all that came before it of its key is done. What was only held is taken back.
void DeliveryEngine::PlaceAboveLimit(Lane& lane, EngineTime now) {
  std::vector<Position> sent;
  std::vector<Sequence> held;
  for (auto at = lane.rows.upper_bound(lane.limit()); at != lane.rows.end(); ++at) {
    const auto& [sequence, row] = *at;
    const bool waits = lane.Ordered(row.state) && lane.skip.contains(sequence) &&
                       !lane.in_flight.contains(sequence);
    if (!waits) continue;
    if (row.state.kind == RowKind::kHeld) {
      held.push_back(sequence);
    } else if (!lane.keys.Contains(row.state.position)) {
      sent.push_back(row.state.position);
    }
  }
  for (const Sequence sequence : held) {
    lane.skip.erase(sequence);
    lane.DropRow(sequence);
    MarkChanged(lane);
  }
  for (const Position& position : sent) Arrive(lane, position, now);
}

void DeliveryEngine::WaitForMatcher(Lane& lane) {
  if (lane.behind) return;
  lane.behind = true;
  behind_.push_back(&lane);
}

// A lane that drains takes nothing above its limit, now or when the matcher comes there.
void DeliveryEngine::StopAtLimit(Lane& lane, EngineTime now) {
  std::erase(draining_, &lane);
  if (lane.replay || lane.limit() == kMaxSequence) return;
  if (lane.TakenTo(matched_through_) > lane.limit()) {
    Rewind(lane, std::max(lane.limit(), lane.Floor(matched_through_)), now);
  }
  if (!lane.catching_up) PinAtLimit(lane, matched_through_);
}

// Stops a lane at the head, that had taken all up to `taken_to`, as soon as the matcher is beyond
// its limit. Later it goes on by scans.
void DeliveryEngine::PinAtLimit(Lane& lane, Sequence taken_to) {
  if (lane.catching_up) return;
  if (matched_through_ < lane.limit()) {
    draining_.push_back(&lane);
    return;
  }
  FallBehind(lane, std::max(taken_to, lane.limit()) + 1);
}

// Takes back what was taken above `to`, at least the floor, and not sent yet. What was sent goes
// on, as rows.
void DeliveryEngine::Rewind(Lane& lane, Sequence to, EngineTime now) {
  for (const Ledger::Entry& entry : lane.ledger.CutAbove(to)) {
    const Sequence sequence = entry.position.sequence;
    Row* row = lane.FindRow(sequence);
    const auto flight = lane.in_flight.find(sequence);
    const bool sent = flight != lane.in_flight.end();
    if (row == nullptr && sent) row = &lane.PutRow(lane.RowOf(entry.position, flight->second.sent));
    const bool untried = row != nullptr && row->state.kind == RowKind::kHeld && !sent;
    if (row != nullptr && !untried) {
      lane.WantRow(*row);
      lane.skip.insert(sequence);
    } else if (entry.state == Ledger::State::kDone) {
      lane.skip.insert(sequence);
    } else if (untried) {
      lane.DropRow(sequence);
    }
  }
  if (lane.scanning) ++lane.scans_stale;
  lane.scanning = false;
  FallBehind(lane, to + 1);
  Rebuild(lane, now);
}

}  // namespace penstock::broker
