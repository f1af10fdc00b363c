#include "services/event-broker/domain/delivery/lane.h"

#include <algorithm>

namespace penstock::broker {
namespace {

// Sums of times that users give stay far from the type's end.
WallTime After(WallTime time, Microseconds by) {
  const Microseconds room = WallTime::max() - std::max(time, WallTime{});
  return by < room ? time + by : WallTime::max();
}

}  // namespace

int AttemptsBeforeSink(const RetryRow& row) { return row.log.empty() ? 0 : row.log.back().attempt; }

Sequence Lane::limit() const {
  if (replay) return replay->to;
  return settings().drain_to == kNoSequence ? kMaxSequence : settings().drain_to;
}

std::size_t Lane::pending() const {
  std::size_t count = waiting;
  for (const Outlet& outlet : outlets) count += outlet.ready.size();
  return count;
}

bool Lane::idle() const { return ledger.undone() == 0 && in_flight.empty() && rows.empty(); }

bool Lane::Ordered(const RetryRow& row) const {
  return Ordered(row.position) && row.redrives == 0 && row.kind != RowKind::kSink;
}

bool Lane::Blocks(const RetryRow& row) const {
  return Ordered(row) && settings().on_exhausted == OnExhausted::kBlock;
}

Row* Lane::FindRow(Sequence sequence) {
  if (rows.empty()) return nullptr;
  const auto at = rows.find(sequence);
  return at == rows.end() ? nullptr : &at->second;
}

const Row* Lane::FindRow(Sequence sequence) const {
  return const_cast<Lane*>(this)->FindRow(sequence);
}

void Lane::Count(const RetryRow& row, int by) {
  if (row.kind == RowKind::kHeld) {
    held += static_cast<std::size_t>(by);
  } else if (row.redrives > 0) {
    redriven += static_cast<std::size_t>(by);
  }
}

Row& Lane::PutRow(RetryRow state) {
  const Sequence sequence = state.position.sequence;
  const auto [at, added] = rows.try_emplace(sequence);
  Row& row = at->second;
  if (added) {
    row.stored = rows_gone.erase(sequence) > 0;
  } else {
    Count(row.state, -1);
  }
  row.state = std::move(state);
  Count(row.state, 1);
  return row;
}

void Lane::DropRow(Sequence sequence) {
  const auto at = rows.find(sequence);
  if (at == rows.end()) return;
  Unschedule(at->second);
  Count(at->second.state, -1);
  if (at->second.stored) rows_gone.insert(sequence);
  rows.erase(at);
}

void Lane::WantRow(Row& row) {
  const Sequence sequence = row.state.position.sequence;
  if (!row.touched) rows_touched.push_back(sequence);
  row.touched = true;
  if (row.wanted) return;
  row.wanted = true;
  ledger.Set(sequence, Ledger::State::kRow);
}

// An event that was too old already when it was first sent (a start in the past, a replay, a long
// pause) gets its whole series of attempts all the same.
RetryRow Lane::RowOf(const Position& position, WallTime first_sent) const {
  if (const Row* row = FindRow(position.sequence)) return row->state;
  RetryRow fresh;
  fresh.position = position;
  const bool old = After(position.append_time, settings().retry.age_max) < first_sent;
  fresh.age_from = old ? first_sent : position.append_time;
  return fresh;
}

std::size_t Lane::OutletOf(const RetryRow& row) const {
  if (row.kind == RowKind::kSink) return sink_outlet();
  const std::size_t member = std::min(static_cast<std::size_t>(row.member), members - 1);
  return row.redrives > 0 && member == 0 ? redrive_outlet() : member;
}

void Lane::Schedule(Row& row) {
  Unschedule(row);
  const Sequence sequence = row.state.position.sequence;
  row.expires = ExpiryOf(row.state);
  outlets[OutletOf(row.state)].due.emplace(row.due_at, sequence);
  expiries.emplace(row.expires, sequence);
  row.scheduled = true;
}

void Lane::Unschedule(Row& row) {
  if (!row.scheduled) return;
  const Sequence sequence = row.state.position.sequence;
  // A row may have changed its outlet since.
  for (Outlet& outlet : outlets) {
    if (outlet.due.erase({row.due_at, sequence}) > 0) break;
  }
  expiries.erase({row.expires, sequence});
  row.scheduled = false;
}

WallTime Lane::ExpiryOf(const RetryRow& row) const {
  if (row.kind == RowKind::kSink) return After(row.age_from, RetryPolicy{}.age_max);
  WallTime expiry = Blocks(row) ? WallTime::max() : After(row.age_from, settings().retry.age_max);
  if (settings().time_to_live && row.redrives == 0) {
    expiry = std::min(expiry, After(row.position.append_time, *settings().time_to_live));
  }
  return expiry;
}

bool Lane::Outlived(const Position& position, WallTime now) const {
  return settings().time_to_live && After(position.append_time, *settings().time_to_live) < now;
}

Sequence Lane::Floor(Sequence matched_through) const {
  const auto* undone = ledger.lowest_undone();
  return undone != nullptr ? undone->position.sequence - 1 : TakenTo(matched_through);
}

Cursor Lane::MakeCursor(Sequence matched_through) const {
  Cursor cursor;
  cursor.floor = Floor(matched_through);
  for (const Ledger::Entry& entry : ledger.entries()) {
    if (entry.state == Ledger::State::kDone) cursor.acked.push_back(entry.position.sequence);
  }
  // What a restored lane has not scanned yet is still done above the floor.
  for (const Sequence sequence : skip) {
    if (FindRow(sequence) == nullptr) cursor.acked.push_back(sequence);
  }
  if (replay) {
    // The undone ones will be met and counted again.
    cursor.matched = replay->matched - ledger.undone();
    cursor.delivered = replay->delivered;
    cursor.dead = replay->dead;
  }
  return cursor;
}

}  // namespace penstock::broker
