// The engine's durable side: floors, and what goes into a state transaction.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

void DeliveryEngine::MarkChanged(Lane& lane) {
  dirty_ = true;
  if (std::exchange(lane.changed, true)) return;
  changed_.push_back(&lane);
}

Sequence DeliveryEngine::lowest_needed() const {
  const Sequence head = needed_through_ + 1;
  return needed_.empty() ? head : std::min(head, needed_.begin()->first);
}

void DeliveryEngine::UpdateNeeded(Lane& lane, std::optional<Sequence> needed) {
  if (lane.needed == needed) return;
  if (lane.needed) needed_.erase({*lane.needed, lane.id});
  if (needed) needed_.emplace(*needed, lane.id);
  lane.needed = needed;
}

void DeliveryEngine::AddLane(Lane& lane, StateTransaction& transaction) {
  lane.changed = false;
  AddRows(lane, transaction);
  const bool clean = lane.clean();
  if (!clean) {
    lane.cursor_stored = true;
    transaction.cursors.emplace(lane.uid, lane.MakeCursor(matched_through_));
  } else if (std::exchange(lane.cursor_stored, false)) {
    transaction.cursors_removed.push_back(lane.uid);
  }
  std::optional<Sequence> needed;
  if (!clean) needed = lane.Floor(matched_through_) + 1;
  if (!lane.rows.empty()) {
    const Sequence row = lane.rows.begin()->first;
    needed = std::min(needed.value_or(row), row);
  }
  UpdateNeeded(lane, needed);
}

void DeliveryEngine::AddRows(Lane& lane, StateTransaction& transaction) {
  for (const Sequence sequence : std::exchange(lane.rows_touched, {})) {
    Row* row = lane.FindRow(sequence);
    if (row == nullptr || !std::exchange(row->touched, false)) continue;
    row->stored = true;
    transaction.rows.emplace_back(lane.uid, row->state);
  }
  for (const Sequence sequence : std::exchange(lane.rows_gone, {})) {
    transaction.rows_removed.push_back({lane.uid, sequence});
  }
}

void DeliveryEngine::MaybePersist(EngineTime now, EngineOutput& out) {
  if (!dirty_) return;
  if (!flush_at_) flush_at_ = now.monotonic + options_.flush_interval;
  if (persisting_) return;
  if (now.monotonic < *flush_at_ && results_since_flush_ < options_.results_per_flush) return;
  StateTransaction transaction;
  transaction.matched_through = matched_through_;
  for (Lane* lane : std::exchange(changed_, {})) {
    AddLane(*lane, transaction);
    if (lane->is_over()) EraseLane(*lane);
  }
  transaction.dead = std::exchange(dead_, {});
  transaction.dead_removed = std::exchange(dead_removed_, {});
  transaction.forgotten = std::exchange(forgotten_, {});
  transaction.replays_done = std::exchange(replays_done_, {});
  needed_through_ = matched_through_;
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
