// The delivery engine: decides what is sent when, what became of it, and what must be durable.
//
// A pure state machine: no I/O, no clock, no threads, the same outputs for the same inputs. A shell
// around it reads the log, talks to executors, keeps the timers and writes the transactions. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/engine_options.h"
#include "services/event-broker/domain/delivery/lane.h"
#include "services/event-broker/domain/delivery/retry.h"
#include "services/event-broker/domain/delivery/target.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

class DeliveryEngine {
 public:
  // Continues after what `saved` says was matched; the matcher goes on at matched_through + 1.
  DeliveryEngine(EngineOptions options, Sequence matched_through);

  // A subscription that was stored: with its cursor when it has one (else it is clean), and its
  // rows.
  void Restore(const std::string& uid, const DeliverySettings& settings, const Cursor* cursor,
               const std::vector<RetryRow>& rows, EngineTime now, EngineOutput& out);
  // A new subscription. Without `from` it meets what Matched brings from now on, otherwise also the
  // log from that sequence on, by scans.
  void Add(const std::string& uid, const DeliverySettings& settings, std::optional<Sequence> from,
           EngineTime now, EngineOutput& out);
  // A replay of [from, to] of the subscription `uid`, in a lane of its own that takes the settings
  // of the subscription, changes included. `cursor` and `rows` are those of an earlier run.
  struct Replay {
    std::string uid;
    std::string replay;
    Sequence from = kNoSequence;
    Sequence to = kNoSequence;
    std::optional<RateLimit> rate;  // Beside the subscription's own.
    bool paused = false;
    const Cursor* cursor = nullptr;
    std::vector<RetryRow> rows;
  };
  void AddReplay(const Replay& replay, EngineTime now, EngineOutput& out);
  void SetReplayPaused(const std::string& lane, bool paused, EngineTime now, EngineOutput& out);
  // The rows of letters of a replay that has ended, which were being redriven. Nothing without its
  // subscription.
  void RestoreEndedReplay(const std::string& lane, const std::vector<RetryRow>& rows,
                          EngineTime now, EngineOutput& out);
  void ChangeSettings(const std::string& uid, const DeliverySettings& settings, EngineTime now,
                      EngineOutput& out);
  // Cancels what is in flight, drops what is pending and forgets the lane, also what the store may
  // have of one that is not known here. A subscription's replays go with it.
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
  // No call of before the start runs any more: keys that were in doubt go on. Until then, or for
  // the time of one attempt, nothing of an ordered key is sent: what ran when the process before
  // this one ended may be running still. To be called once, also when nothing ran.
  void Settled(EngineTime now, EngineOutput& out);
  // How many more deliveries the consumers of a pull subscription take.
  void SetCredit(const std::string& uid, std::size_t credit, EngineTime now, EngineOutput& out);
  // Dead letters go into new series of attempts, one after the other at `per_second` (0: at once).
  // Gives how many were taken: those of subscriptions that are not known are not.
  struct RedriveOrder {
    DeliveryKey key;
    WallTime append_time{};
    std::uint64_t ordering_key = 0;  // As in DeadDelivery.
    int redrives = 0;                // Before this one.
    std::uint32_t bytes = 0;         // Of the event.
  };
  std::size_t Redrive(const std::vector<RedriveOrder>& letters, int per_second, EngineTime now,
                      EngineOutput& out);
  // What the store has of dead letters, after the subscription or replay was restored.
  void RestoreDead(const std::string& lane, const SavedDeliveryState::DeadCount& dead,
                   EngineTime now, EngineOutput& out);
  // Dead letters were purged.
  void Purged(const std::string& lane, std::uint64_t letters, std::uint64_t bytes, EngineTime now,
              EngineOutput& out);
  // Gives one delivery up, without a dead letter: what waits at once, what an executor has when its
  // attempt ends with anything but success. Also of a paused lane.
  CancelVerdict Cancel(const DeliveryKey& key, EngineTime now, EngineOutput& out);
  // Of these letters those that made their keys fail were purged or are gone: the keys go on.
  void FreeKeys(const std::string& lane, const std::vector<Sequence>& letters, EngineTime now,
                EngineOutput& out);
  // The log let everything up to `to` go: one dead letter for the range that the lane had not come
  // to. A scan that is asked for begins again behind it.
  void Skipped(const std::string& lane, Sequence to, EngineTime now, EngineOutput& out);
  // The transaction of an earlier output is durable.
  void Persisted(EngineTime now, EngineOutput& out);
  void Tick(EngineTime now, EngineOutput& out);
  // Everything that is not durable yet, whatever the interval. For the shutdown.
  void Flush(EngineTime now, EngineOutput& out);

  Sequence matched_through() const { return matched_through_; }
  // The lowest sequence that a delivery still needs, as of the last transaction; the log must keep
  // it.
  Sequence lowest_needed() const;
  std::size_t in_flight() const { return in_flight_; }
  // True when something is not in any transaction yet.
  bool dirty() const { return dirty_; }
  // True when nothing waits to become durable.
  bool clean() const { return !dirty_ && !persisting_; }
  const EngineCounters& counters() const { return counters_; }
  std::optional<SubscriptionProgress> Progress(const std::string& uid) const;
  // Where a delivery is that matched; kDone for what is neither pending nor ahead.
  std::optional<DeliveryWhereabouts> Find(const DeliveryKey& key) const;

 private:
  // engine_lanes.cc
  Lane* FindLane(const std::string& uid);
  const Lane* FindLane(const std::string& uid) const;
  Lane& MakeLane(const std::string& uid, LaneOwner& owner, EngineTime now);
  void LoadRows(Lane& lane, const std::vector<RetryRow>& rows, EngineTime now);
  void LoadCursor(Lane& lane, const Cursor& cursor);
  void MakeOutlets(Lane& lane);
  void DropOutlets(Lane& lane, std::vector<Outlet> outlets);
  Target* TakeTarget(const std::string& name);
  void LeaveTarget(Target* target);
  void Rebuild(Lane& lane, EngineTime now);
  void Place(Lane& lane, const Position& position, EngineTime now);
  void ApplySettings(Lane& lane, const DeliverySettings& before, EngineTime now);
  void ForgetLane(Lane& lane, EngineOutput& out);
  void EraseLane(Lane& lane);

  // engine_intake.cc
  void TakeMatch(Lane& lane, const Position& position, EngineTime now);
  void FallBehind(Lane& lane, Sequence next);
  void Accept(Lane& lane, const Position& position, EngineTime now);
  static bool IsBehindFailed(const Lane& lane, const Position& position);
  void MakeReady(Lane& lane, std::size_t outlet, const Position& position, EngineTime now);
  void PassSkipped(Lane& lane, Sequence before, EngineTime now);
  void PlaceSkipped(Lane& lane, const Position& position, EngineTime now);
  void StopAtLimit(Lane& lane, EngineTime now);
  void PinAtLimit(Lane& lane, Sequence taken_to);
  void Rewind(Lane& lane, Sequence to, EngineTime now);
  bool IntakeBlocked(const Lane& lane) const;
  void OrderScan(Lane& lane, EngineOutput& out);
  void PlaceAboveLimit(Lane& lane, EngineTime now);
  void WaitForMatcher(Lane& lane);

  // engine_order.cc
  void Arrive(Lane& lane, const Position& position, EngineTime now);
  void TakeTurn(Lane& lane, const Position& position, EngineTime now);
  void Hold(Lane& lane, const Position& position, WallTime now);
  void LeaveKey(Lane& lane, const Position& position, EngineTime now);
  void FailKey(Lane& lane, const Position& position, EngineTime now);
  void DoubtKeys(Lane& lane, EngineTime now);
  void EndDoubt(Lane& lane, EngineTime now);
  void MoveSlowIntoRows(Lane& lane, EngineTime now);

  // engine_results.cc
  void FinishOne(const DeliveryResult& result, EngineTime now);
  void EndCall(Lane& lane, const Flight& flight, const TargetReport& report, EngineTime now);
  void Succeed(Lane& lane, const Flight& flight, EngineTime now);
  void Fail(Lane& lane, const Flight& flight, const DeliveryResult& result, EngineTime now);
  void Exhaust(Lane& lane, RetryRow row, DeadReason reason, const DeliveryResult& result,
               EngineTime now);
  void RetryLater(Lane& lane, RetryRow row, Microseconds delay, EngineTime now);
  void GiveUp(Lane& lane, RetryRow row, DeadReason reason, EngineTime now);
  void MoveToSink(Lane& lane, RetryRow row, DeadReason reason, EngineTime now);
  void Bury(Lane& lane, RetryRow row, DeadReason reason, EngineTime now);
  void Settle(Lane& lane, const Position& position, EngineTime now);

  // engine_cancel.cc
  bool CancelWaiting(Lane& lane, Sequence sequence, EngineTime now);

  // engine.cc
  void Touch(Lane& lane);
  void TouchAll(LaneOwner& owner);
  void TouchTarget(Target& target);
  void FireTimers(EngineTime now);
  bool WakeWaiters();
  void Attend(Lane& lane, EngineTime now, EngineOutput& out);
  void ExpireDue(Lane& lane, EngineTime now);
  std::optional<WallTime> FreshExpiry(const Lane& lane) const;
  void SetTimer(Lane& lane, EngineTime now);
  std::optional<MonotonicTime> NextSend(Lane& lane, EngineTime now);
  std::optional<MonotonicTime> NextExpiry(const Lane& lane, EngineTime now) const;
  void Pump(EngineTime now, EngineOutput& out);
  std::uint64_t CostOf(const Lane& lane, const SendOrder& order) const;
  void Conclude(EngineTime now, EngineOutput& out);

  // engine_send.cc
  bool HasRoom(Lane& lane, std::size_t outlet);
  bool MaySend(const Lane& lane) const;
  bool DeadLettersFull(const LaneOwner& owner) const;
  void Uncount(Lane& lane, std::uint64_t bytes);
  bool HasTokens(Lane& lane, int tokens, EngineTime now);
  int BatchSize(const Lane& lane) const;
  bool BatchWaits(const Lane& lane, EngineTime now) const;
  std::optional<std::size_t> FindFresh(Lane& lane, EngineTime now);
  std::optional<std::size_t> FindRetry(Lane& lane, EngineTime now);
  void SendFresh(Lane& lane, std::size_t outlet, EngineTime now, EngineOutput& out);
  void SendRetry(Lane& lane, std::size_t outlet, EngineTime now, EngineOutput& out);
  Flight& Begin(Lane& lane, std::size_t outlet, const Position& position, EngineTime now,
                EngineOutput& out);
  void AddBatch(Lane& lane, Flight& first, EngineTime now, EngineOutput& out);

  // engine_persist.cc
  void MarkChanged(Lane& lane);
  void MaybePersist(EngineTime now, EngineOutput& out);
  void AddLane(Lane& lane, StateTransaction& transaction);
  void AddRows(Lane& lane, StateTransaction& transaction);
  void UpdateNeeded(Lane& lane, std::optional<Sequence> needed);

  // engine_replay.cc
  Lane* ReviveReplay(const std::string& uid, EngineTime now);
  void ReportEnd(Lane& lane, EngineOutput& out);

  // engine_report.cc
  LaneBlock BlockOf(const Lane& lane) const;

  const EngineOptions options_;
  Random random_;
  std::map<std::string, LaneOwner> owners_;
  std::map<std::string, Lane> lanes_;
  std::map<std::string, Target> targets_;
  std::uint64_t next_id_ = 1;
  Sequence matched_through_;
  std::size_t capacity_ = 0;
  std::size_t calls_ = 0;  // That count against the capacity.
  std::size_t in_flight_ = 0;
  EngineCounters counters_;
  EngineTime last_{};                     // Of the last input.
  std::optional<MonotonicTime> started_;  // The first input.
  bool settled_ = false;

  // Lanes and targets that have to be looked at in this step.
  std::vector<Lane*> touched_;
  std::vector<Target*> targets_touched_;
  std::vector<Lane*> behind_;    // Wait for the matcher to go on.
  std::vector<Lane*> draining_;  // At the head, and stop at a sequence.
  std::vector<Lane*> doubtful_;  // Their keys are frozen.
  FairQueue queue_;
  int retry_credit_ = 0;  // What retries may take, in thousandths of a send.
  std::map<std::pair<MonotonicTime, std::uint64_t>, Lane*> lane_timers_;
  std::map<std::pair<MonotonicTime, std::uint64_t>, Target*> target_timers_;

  // What the next transaction will hold.
  bool dirty_ = false;
  bool persisting_ = false;
  std::size_t results_since_flush_ = 0;
  std::optional<MonotonicTime> flush_at_;
  std::vector<Lane*> changed_;
  std::vector<DeadDelivery> dead_;
  std::vector<DeliveryKey> dead_removed_;
  std::vector<std::string> forgotten_;
  std::map<std::string, Cursor> replays_done_;

  // Of lanes that need less than `needed_through_` + 1, as of the last transaction.
  std::set<std::pair<Sequence, std::uint64_t>> needed_;
  Sequence needed_through_;
};

}  // namespace penstock::broker
