// The engine's durable side: floors, and what goes into a state transaction.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

// Everything up to here was handed to the lane.
Sequence DeliveryEngine::TakenTo(const Lane& lane) const {
  return lane.catching_up ? lane.scan_next - 1 : matched_through_;
}

// The lowest matched event that is neither done nor kept in a row.
std::optional<Sequence> DeliveryEngine::LowestUndone(const Lane& lane) const {
  std::optional<Sequence> lowest;
  if (!lane.window.empty()) lowest = lane.window.front().sequence;
  if (!lane.fresh.empty() && (!lowest || *lane.fresh.begin() < *lowest)) {
    lowest = *lane.fresh.begin();
  }
  return lowest;
}

Sequence DeliveryEngine::FloorOf(const Lane& lane) const {
  const auto undone = LowestUndone(lane);
  return undone ? *undone - 1 : TakenTo(lane);
}

bool DeliveryEngine::IsClean(const Lane& lane) const {
  return !lane.catching_up && !LowestUndone(lane);
}

Sequence DeliveryEngine::lowest_needed() const {
  Sequence lowest = matched_through_ + 1;
  for (const auto& [uid, lane] : lanes_) {
    lowest = std::min(lowest, FloorOf(lane) + 1);
    if (!lane.rows.empty()) lowest = std::min(lowest, lane.rows.begin()->first);
  }
  return lowest;
}

void DeliveryEngine::TouchRow(Lane& lane, Sequence sequence) {
  rows_touched_.insert({lane.uid, sequence});
}

void DeliveryEngine::Dirty(Lane& lane) {
  lane.changed = true;
  dirty_ = true;
}

// A delivery that runs long must not make the list of acknowledged positions above it grow for
// ever: as a row it lets the floor pass, and a restart sends it again.
void DeliveryEngine::MoveSlowIntoRows(Lane& lane, EngineTime now) {
  while (lane.acked.size() > options_.acked_max && !lane.fresh.empty()) {
    const Sequence sequence = *lane.fresh.begin();
    if (!lane.window.empty() && lane.window.front().sequence < sequence) return;
    RetryRow row = RowOf(lane, lane.in_flight.at(sequence));
    row.due = now.wall;
    lane.fresh.erase(sequence);
    lane.rows.emplace(sequence, std::move(row));
    TouchRow(lane, sequence);
    lane.acked.erase(lane.acked.begin(), lane.acked.upper_bound(FloorOf(lane)));
  }
}

void DeliveryEngine::AddCursors(StateTransaction& transaction) {
  for (auto& [uid, lane] : lanes_) {
    if (!lane.changed) continue;
    lane.changed = false;
    lane.acked.erase(lane.acked.begin(), lane.acked.upper_bound(FloorOf(lane)));
    if (IsClean(lane)) {
      if (std::exchange(lane.saved_dirty, false)) transaction.cursors_removed.push_back(uid);
      continue;
    }
    lane.saved_dirty = true;
    Cursor cursor{FloorOf(lane), {lane.acked.begin(), lane.acked.end()}};
    // What a restored lane has not scanned yet is still done above the floor.
    for (const Sequence sequence : lane.skip) {
      if (sequence > cursor.floor && !lane.rows.contains(sequence) &&
          !lane.acked.contains(sequence)) {
        cursor.acked.push_back(sequence);
      }
    }
    std::sort(cursor.acked.begin(), cursor.acked.end());
    transaction.cursors.emplace(uid, std::move(cursor));
  }
}

void DeliveryEngine::MaybePersist(EngineTime now, EngineOutput& out) {
  if (!dirty_) return;
  if (!flush_at_) flush_at_ = now.monotonic + options_.flush_interval;
  if (persisting_) return;
  if (now.monotonic < *flush_at_ && results_since_flush_ < options_.results_per_flush) return;
  StateTransaction transaction;
  for (auto& [uid, lane] : lanes_) MoveSlowIntoRows(lane, now);
  transaction.matched_through = matched_through_;
  AddCursors(transaction);
  for (const DeliveryKey& key : std::exchange(rows_touched_, {})) {
    const Lane& lane = lanes_.at(key.uid);
    const auto row = lane.rows.find(key.sequence);
    if (row == lane.rows.end()) {
      transaction.rows_removed.push_back(key);
    } else {
      transaction.rows.emplace_back(key.uid, row->second);
    }
  }
  transaction.dead = std::exchange(dead_, {});
  transaction.dead_removed = std::exchange(dead_removed_, {});
  transaction.forgotten = std::exchange(forgotten_, {});
  dirty_ = false;
  persisting_ = true;
  flush_at_.reset();
  results_since_flush_ = 0;
  out.transaction = std::move(transaction);
}

void DeliveryEngine::Persisted(EngineTime now, EngineOutput& out) {
  persisting_ = false;
  Conclude(now, out);
}

void DeliveryEngine::Flush(EngineTime now, EngineOutput& out) {
  if (dirty_) flush_at_ = now.monotonic;
  Conclude(now, out);
}

}  // namespace penstock::broker
