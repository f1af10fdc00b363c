// Deliveries that are given up one by one.
#include <algorithm>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

CancelVerdict DeliveryEngine::Cancel(const DeliveryKey& key, EngineTime now, EngineOutput& out) {
  Lane* lane = FindLane(key.uid);
  if (lane == nullptr) return CancelVerdict::kUnknown;
  if (lane->settings().ordered || lane->members > 1) return CancelVerdict::kOrdered;
  if (const auto flight = lane->in_flight.find(key.sequence); flight != lane->in_flight.end()) {
    if (flight->second.to_sink) return CancelVerdict::kOver;
    if (lane->cancelled.insert(key.sequence).second) {
      out.cancels.emplace_back(key, flight->second.attempt);
    }
    return CancelVerdict::kInFlight;
  }
  const bool is_cancelled = CancelWaiting(*lane, key.sequence, now);
  Conclude(now, out);
  if (is_cancelled) return CancelVerdict::kCancelled;
  const auto found = Find(key);
  return found && found->place == DeliveryPlace::kNotReached ? CancelVerdict::kNotReached
                                                             : CancelVerdict::kOver;
}

// A row, or a fresh event whose turn has not come.
bool DeliveryEngine::CancelWaiting(Lane& lane, Sequence sequence, EngineTime now) {
  if (const Row* row = lane.FindRow(sequence)) {
    // What is on its way to the sink has failed already.
    if (row->state.kind == RowKind::kSink) return false;
    if (row->state.redrives > 0) dead_removed_.push_back({lane.uid, sequence});
    Settle(lane, Position(row->state.position), now);
    return true;
  }
  auto& ready = lane.outlets[0].ready;
  const auto at = std::find_if(ready.begin(), ready.end(), [&](const Position& position) {
    return position.sequence == sequence;
  });
  if (at == ready.end()) return false;
  const Position position = *at;
  ready.erase(at);
  Settle(lane, position, now);
  return true;
}

}  // namespace penstock::broker
