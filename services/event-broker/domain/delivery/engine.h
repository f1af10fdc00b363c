// The delivery engine: decides what is sent when, what became of it, and what must be durable.
//
// A pure state machine: no I/O, no clock, no threads, the same outputs for the same inputs. A shell
// around it reads the log, talks to executors, keeps the timers and writes the transactions. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/retry.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

struct EngineOptions {
  std::size_t window = 1024;  // Positions that a subscription keeps before it catches up by scans.
  std::size_t rows_max = 10'000;  // Retry rows of a subscription; beyond it nothing new is sent.
  std::size_t acked_max =
      1024;  // Acknowledged positions above a floor before the floor is moved on.
  std::size_t results_per_flush = 4096;
  Microseconds flush_interval{100'000};
  int lost_max = 3;  // Unknown outcomes that count as one failed attempt.
  std::size_t attempt_log_max = 10;
  std::uint64_t seed = 1;  // Of the jitter.
};

// Both clocks at one moment. Timers run on the monotonic one.
struct EngineTime {
  WallTime wall;
  MonotonicTime monotonic;
};

class DeliveryEngine {
 public:
  // Continues after what `saved` says was matched; the matcher goes on at matched_through + 1.
  DeliveryEngine(EngineOptions options, Sequence matched_through);

  // A subscription that was stored: with its cursor when it has one (else it is clean), and its
  // rows.
  void Restore(const std::string& uid, const DeliverySettings& settings, const Cursor* cursor,
               const std::vector<RetryRow>& rows, EngineTime now, EngineOutput& out);
  // A new subscription. It meets what Matched brings from now on.
  void Add(const std::string& uid, const DeliverySettings& settings, EngineTime now,
           EngineOutput& out);
  void ChangeSettings(const std::string& uid, const DeliverySettings& settings, EngineTime now,
                      EngineOutput& out);
  // Cancels what is in flight, drops what is pending and forgets the subscription, also what the
  // store may have of one that is not known here.
  void Remove(const std::string& uid, EngineTime now, EngineOutput& out);

  // The matcher has read the log up to and with `through`. Matches are ascending by sequence.
  struct Match {
    std::string uid;
    Position position;
  };
  void Matched(const std::vector<Match>& matches, Sequence through, EngineTime now,
               EngineOutput& out);
  // The answer to a ScanOrder: what matched below `next`, where the scan goes on.
  void Scanned(const std::string& uid, const std::vector<Position>& positions, Sequence next,
               EngineTime now, EngineOutput& out);
  // Ends of attempts, in any order. Results of unknown attempts are counted and dropped.
  void Finished(const std::vector<DeliveryResult>& results, EngineTime now, EngineOutput& out);
  // How many deliveries the executors take at the same time, over all streams.
  void SetCapacity(std::size_t slots, EngineTime now, EngineOutput& out);
  // A dead letter goes into a new series of attempts. False when the subscription is not known.
  bool Redrive(const std::string& uid, RetryRow row, EngineTime now, EngineOutput& out);
  // The transaction of an earlier output is durable.
  void Persisted(EngineTime now, EngineOutput& out);
  void Tick(EngineTime now, EngineOutput& out);
  // Everything that is not durable yet, whatever the interval. For the shutdown.
  void Flush(EngineTime now, EngineOutput& out);

  Sequence matched_through() const { return matched_through_; }
  // The lowest sequence that a delivery still needs; the log must keep it.
  Sequence lowest_needed() const;
  std::size_t in_flight() const { return in_flight_; }
  // True when something is not in any transaction yet.
  bool dirty() const { return dirty_; }
  // True when nothing waits to become durable.
  bool clean() const { return !dirty_ && !persisting_; }
  const EngineCounters& counters() const { return counters_; }
  std::optional<SubscriptionProgress> Progress(const std::string& uid) const;

 private:
  struct InFlight {
    Position position;
    int attempt = 1;
    WallTime sent_wall;
  };
  struct Lane {
    std::string uid;
    DeliverySettings settings;
    // Catching up: positions come by scans from `scan_next` on; otherwise from Matched.
    bool catching_up = false;
    bool scanning = false;
    Sequence scan_next = kNoSequence;
    std::set<Sequence> skip;      // Done or in rows when restored; scans bring them again.
    std::deque<Position> window;  // Matched, not sent yet, ascending.
    std::map<Sequence, InFlight> in_flight;
    std::set<Sequence> fresh;  // In flight without a row: they hold the floor.
    std::set<Sequence> acked;  // Done above the floor.
    std::map<Sequence, RetryRow> rows;
    std::set<std::pair<MonotonicTime, Sequence>> due;  // Rows that are not in flight.
    bool queued = false;                               // In `ready_`.
    bool saved_dirty = false;                          // The store has a cursor of it.
    bool changed = true;                               // Since the last transaction.
  };

  void Load(Lane& lane, const Cursor& cursor, const std::vector<RetryRow>& rows, EngineTime now);
  Sequence FloorOf(const Lane& lane) const;
  Sequence TakenTo(const Lane& lane) const;
  bool IsClean(const Lane& lane) const;
  std::optional<Sequence> LowestUndone(const Lane& lane) const;

  void Accept(Lane& lane, const Position& position);
  void FinishOne(const DeliveryResult& result, EngineTime now);
  void Succeed(Lane& lane, const InFlight& flight);
  void Fail(Lane& lane, const InFlight& flight, const DeliveryResult& result, EngineTime now);
  void GiveUp(Lane& lane, RetryRow row, DeadReason reason, EngineTime now);
  void Wait(Lane& lane, RetryRow row, Microseconds delay, EngineTime now);
  RetryRow RowOf(const Lane& lane, const InFlight& flight) const;

  void MarkReady(Lane& lane);
  bool CanSend(const Lane& lane, EngineTime now) const;
  bool SendOne(Lane& lane, EngineTime now, EngineOutput& out);
  void Pump(EngineTime now, EngineOutput& out);
  void WakeDueLanes(EngineTime now);
  void OrderScan(Lane& lane, EngineOutput& out);
  void Conclude(EngineTime now, EngineOutput& out);

  void MaybePersist(EngineTime now, EngineOutput& out);
  void AddCursors(StateTransaction& transaction);
  void MoveSlowIntoRows(Lane& lane, EngineTime now);
  void TouchRow(Lane& lane, Sequence sequence);
  void Dirty(Lane& lane);

  const EngineOptions options_;
  Random random_;
  std::map<std::string, Lane> lanes_;
  std::deque<std::string> ready_;  // Uids of lanes that may have something to send, in turn.
  std::set<std::pair<MonotonicTime, std::string>> wakes_;  // When rows become due.
  Sequence matched_through_;
  std::size_t capacity_ = 0;
  std::size_t in_flight_ = 0;
  EngineCounters counters_;

  // What the next transaction will hold besides cursors.
  bool dirty_ = false;
  bool persisting_ = false;
  std::size_t results_since_flush_ = 0;
  std::optional<MonotonicTime> flush_at_;
  std::set<DeliveryKey> rows_touched_;
  std::vector<DeadDelivery> dead_;
  std::vector<DeliveryKey> dead_removed_;
  std::vector<std::string> forgotten_;
};

}  // namespace penstock::broker
