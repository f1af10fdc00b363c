// The engine's state of one lane, and the bookkeeping that keeps its parts in step. What happens to
// a lane, and when, is the engine's business.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/count_ring.h"
#include "services/event-broker/domain/delivery/fair_queue.h"
#include "services/event-broker/domain/delivery/key_order.h"
#include "services/event-broker/domain/delivery/ledger.h"
#include "services/event-broker/domain/delivery/target.h"
#include "services/event-broker/domain/delivery/token_bucket.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

struct Lane;

// A subscription: what its own lane and its replays share.
struct LaneOwner {
  std::string uid;
  DeliverySettings settings;
  std::optional<TokenBucket> rate;
  SavedDeliveryState::DeadCount dead;
  std::size_t credit = 0;    // Of pull consumers.
  std::vector<Lane*> lanes;  // In the order in which they came.
};

// A row, and what the store knows of it.
struct Row {
  RetryRow state;
  MonotonicTime due_at{};
  WallTime expires{};
  bool scheduled = false;  // In an outlet's `due`.
  bool wanted = false;     // Has to be durable. Otherwise the event still holds the floor.
  bool stored = false;     // The store has it, or will with the transaction that is on its way.
  bool touched = false;    // Changed since the last transaction.
};

// Attempts of an event before it went to the dead-letter sink: the number of the last one that is
// in its log.
int AttemptsBeforeSink(const RetryRow& row);

// An attempt under way.
struct Flight {
  Position position;
  int attempt = 1;
  WallTime sent{};
  bool to_sink = false;
  bool probe = false;
  bool counted = true;       // Against the capacity.
  Target* target = nullptr;  // None of a pull lane.
  FairQueue::Space* space = nullptr;
  Sequence call = kNoSequence;  // Of a batch: its first event.
};

// Where deliveries leave to: a member of the lane's targets, the same again for redriven dead
// letters, or the dead-letter sink.
struct Outlet {
  Target* target = nullptr;
  std::deque<Position> ready;                        // Fresh events whose turn it is.
  std::set<std::pair<MonotonicTime, Sequence>> due;  // Rows, by the time of their next attempt.
  bool waits = false;                                // For room at the target.
  bool woken = false;                                // It is its turn to take that room.
};

struct Lane {
  std::string uid;       // Of the subscription, or ReplayLane.
  std::uint64_t id = 0;  // Orders timers.
  LaneOwner* owner = nullptr;

  // Of a replay.
  struct ReplayState {
    Sequence to = kNoSequence;
    bool paused = false;
    bool ended = false;  // Takes nothing more: it is there for letters that are redriven.
    std::optional<TokenBucket> rate;
    std::uint64_t matched = 0;
    std::uint64_t delivered = 0;
    std::uint64_t dead = 0;
  };
  std::optional<ReplayState> replay;

  // Catching up: positions come by scans from `scan_next` on; otherwise from Matched.
  bool catching_up = false;
  bool scanning = false;
  int scans_stale = 0;  // Answers to come that are of no use any more.
  Sequence scan_next = kNoSequence;
  bool behind = false;      // Waits for the matcher to go on.
  std::set<Sequence> skip;  // Done, or in rows, when it was restored; scans bring them again.
  bool drain_reported = false;

  Ledger ledger;
  KeyOrder keys;
  std::optional<MonotonicTime> doubt_until;       // While `keys` are frozen.
  std::map<std::uint64_t, Sequence> failed_keys;  // With the dead letter that made them so.
  std::size_t waiting = 0;                        // In `keys`, without a turn and without a row.
  std::vector<Outlet> outlets;
  std::size_t members = 1;  // The first outlets.
  MonotonicTime batch_since{};

  std::map<Sequence, Row> rows;
  std::size_t held = 0;                              // Of `rows`.
  std::size_t redriven = 0;                          // Of `rows`: not counted against the limit.
  std::set<std::pair<WallTime, Sequence>> expiries;  // Of rows that are scheduled.
  std::map<Sequence, Flight> in_flight;
  std::set<Sequence> cancelled;     // Of `in_flight`: not to be tried again.
  std::map<Sequence, int> batches;  // By their first event: members that have not ended.
  int calls = 0;                    // Under way; a batch is one.

  // For the engine's queues, timers and transactions.
  FairQueue::Member fair;
  bool touched = false;
  std::optional<MonotonicTime> timer;
  bool changed = false;
  bool cursor_stored = false;
  std::optional<Sequence> needed;  // As in the engine's index.
  std::vector<Sequence> rows_touched;
  std::set<Sequence> rows_gone;  // That the store has.
  CountRing<60> delivered{std::chrono::seconds(1)};
  CountRing<60> failed{std::chrono::seconds(1)};

  const DeliverySettings& settings() const { return owner->settings; }
  bool paused() const { return settings().paused || (replay && replay->paused); }
  std::size_t redrive_outlet() const { return members; }
  std::size_t sink_outlet() const { return members + 1; }
  // Nothing above is taken.
  Sequence limit() const;
  // In memory without a row: what is ready, and what waits for its key.
  std::size_t pending() const;
  std::size_t retry_rows() const { return rows.size() - held - redriven; }
  bool idle() const;

  // Whether an event, or a row, keeps to the order of its key.
  bool Ordered(const Position& position) const { return settings().ordered && position.key != 0; }
  bool Ordered(const RetryRow& row) const;
  // A key that may wait for ever rather than lose an event.
  bool Blocks(const RetryRow& row) const;

  Row* FindRow(Sequence sequence);
  const Row* FindRow(Sequence sequence) const;
  // Adds it or replaces the state of the one that is there. Not scheduled.
  Row& PutRow(RetryRow state);
  void DropRow(Sequence sequence);
  // From now on it is kept for the floor's sake; also after each change of one that is.
  void WantRow(Row& row);
  // The row of an event, or a new one.
  RetryRow RowOf(const Position& position, WallTime first_sent) const;

  std::size_t OutletOf(const RetryRow& row) const;
  void Schedule(Row& row);
  void Unschedule(Row& row);
  // When it is given up without another attempt.
  WallTime ExpiryOf(const RetryRow& row) const;
  // Too old to be sent at all.
  bool Outlived(const Position& position, WallTime now) const;

  // Everything up to here was taken.
  Sequence TakenTo(Sequence matched_through) const {
    return catching_up ? scan_next - 1 : matched_through;
  }
  Sequence Floor(Sequence matched_through) const;
  // Nothing but the common mark is needed to go on after a restart.
  bool clean() const { return (!replay || replay->ended) && !catching_up && ledger.undone() == 0; }
  // A replay's that ended, with nothing left to send again.
  bool is_over() const { return replay && replay->ended && idle(); }
  Cursor MakeCursor(Sequence matched_through) const;

 private:
  void Count(const RetryRow& row, int by);
};

}  // namespace penstock::broker
