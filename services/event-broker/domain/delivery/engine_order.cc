// Order by key: whose turn it is, who waits in memory, who in a row, and keys that failed.
#include <algorithm>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// How long an executor may take to end a call whose time is over.
constexpr Microseconds kCallEndsWithin = 5s;

}  // namespace

void DeliveryEngine::Arrive(Lane& lane, const Position& position, EngineTime now) {
  const bool turn = lane.keys.Arrive(position);
  if (turn) return TakeTurn(lane, position, now);
  if (lane.FindRow(position.sequence) != nullptr) return;
  // One key that fails must not take the memory of the others.
  if (lane.waiting >= options_.window / 2) return Hold(lane, position, now.wall);
  ++lane.waiting;
}

// A fresh event, or one that was only held, is ready; what was tried before waits for its time.
void DeliveryEngine::TakeTurn(Lane& lane, const Position& position, EngineTime now) {
  if (lane.in_flight.contains(position.sequence)) return;
  Touch(lane);
  Row* row = lane.FindRow(position.sequence);
  if (row == nullptr) return MakeReady(lane, 0, position, now);
  const bool fresh = row->state.kind == RowKind::kHeld || !row->wanted;
  if (fresh) return MakeReady(lane, lane.OutletOf(row->state), position, now);
  lane.Schedule(*row);
}

void DeliveryEngine::Hold(Lane& lane, const Position& position, WallTime now) {
  RetryRow row;
  row.position = position;
  row.kind = RowKind::kHeld;
  row.due = now;
  row.age_from = position.append_time;
  lane.WantRow(lane.PutRow(std::move(row)));
  MarkChanged(lane);
}

void DeliveryEngine::LeaveKey(Lane& lane, const Position& position, EngineTime now) {
  const auto next = lane.keys.Leave(position);
  if (!next || lane.in_flight.contains(next->sequence)) return;
  if (lane.FindRow(next->sequence) == nullptr) --lane.waiting;
  TakeTurn(lane, *next, now);
}

// The later ones of the key that wait become dead letters too, and so will those that come.
void DeliveryEngine::FailKey(Lane& lane, const Position& position, EngineTime now) {
  if (!lane.settings().has_sink) lane.failed_keys.emplace(position.key, position.sequence);
  for (const Position& later : lane.keys.OfKey(position.key)) {
    if (later.sequence <= position.sequence || lane.in_flight.contains(later.sequence)) continue;
    lane.keys.Leave(later);
    if (lane.FindRow(later.sequence) == nullptr) --lane.waiting;
    GiveUp(lane, lane.RowOf(later, now.wall), DeadReason::kKeyFailed, now);
  }
}

// Until the calls of before have ended. They end with the time of one attempt, where it has one.
void DeliveryEngine::DoubtKeys(Lane& lane, EngineTime now) {
  if (settled_ || !lane.settings().ordered || lane.doubt_until) return;
  Microseconds bound = options_.doubt_max;
  if (lane.settings().timeout) bound = std::min(bound, *lane.settings().timeout + kCallEndsWithin);
  if (*started_ + bound <= now.monotonic) return;
  lane.doubt_until = *started_ + bound;
  lane.keys.Freeze();
  doubtful_.push_back(&lane);
}

void DeliveryEngine::EndDoubt(Lane& lane, EngineTime now) {
  if (!lane.doubt_until) return;
  lane.doubt_until.reset();
  std::erase(doubtful_, &lane);
  for (const Position& first : lane.keys.Thaw()) {
    if (lane.in_flight.contains(first.sequence)) continue;
    if (lane.FindRow(first.sequence) == nullptr) --lane.waiting;
    TakeTurn(lane, first, now);
  }
  Touch(lane);
}

void DeliveryEngine::Settled(EngineTime now, EngineOutput& out) {
  settled_ = true;
  for (Lane* lane : std::vector<Lane*>(doubtful_)) EndDoubt(*lane, now);
  Conclude(now, out);
}

// What runs or waits long must not make the list of acknowledged positions above it grow for ever:
// as a row it lets the floor pass, and a restart sends it again.
void DeliveryEngine::MoveSlowIntoRows(Lane& lane, EngineTime now) {
  while (lane.ledger.done() > options_.acked_max) {
    const Position position = lane.ledger.lowest_undone()->position;
    const auto flight = lane.in_flight.find(position.sequence);
    if (Row* row = lane.FindRow(position.sequence)) {
      lane.WantRow(*row);
    } else if (flight != lane.in_flight.end()) {
      RetryRow made = lane.RowOf(position, flight->second.sent);
      made.due = now.wall;
      lane.WantRow(lane.PutRow(std::move(made)));
    } else if (lane.keys.Contains(position) &&
               (lane.keys.frozen() || !lane.keys.IsFirst(position))) {
      --lane.waiting;
      Hold(lane, position, now.wall);
    } else {
      return;  // It is ready, and will be sent before much else is.
    }
  }
}

}  // namespace penstock::broker
