// What goes into the delivery engine, what comes out, and what it keeps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

// One event for one lane. A lane is a subscription (its uid), or one replay of it (the uid, a dot
// and the replay's id). Orders by lane, then sequence.
struct DeliveryKey {
  std::string uid;
  Sequence sequence = kNoSequence;

  // The id that functions see: the same over all attempts.
  std::string Id() const { return uid + "-" + std::to_string(sequence); }

  friend auto operator<=>(const DeliveryKey&, const DeliveryKey&) = default;
};

// The lane of a replay, and what it belongs to.
std::string ReplayLane(std::string_view uid, std::string_view replay);
std::string_view SubscriptionOfLane(std::string_view lane);
std::string_view ReplayOfLane(std::string_view lane);  // Empty for a subscription's own lane.

// The hash of an ordering key; never 0.
std::uint64_t KeyHash(std::string_view key);

struct Position {
  Sequence sequence = kNoSequence;
  WallTime append_time{};
  std::uint64_t key = 0;    // KeyHash of the ordering key; 0: not ordered.
  std::uint32_t bytes = 0;  // Of the event; what fairness counts.
};

// How an attempt ended.
enum class DeliveryOutcome {
  kSucceeded,
  kRetryable,  // Consumes an attempt.
  kPermanent,  // Consumes an attempt and ends the delivery.
  kRejected,   // Provably not started: consumes none.
  kUnknown,    // The stream was lost after sending: consumes one of the engine's `lost_max`.
  kExpired,    // Not sent: the event's own expiry time has passed.
  kHopLimit,   // Not sent, or its reply not published: too many hops.
  kGone,       // Not sent: the event cannot be read any more. Nothing can help.
};

// An error as the executor reported it.
struct DeliveryError {
  std::string category;
  std::string type;
  std::string message;
};

// One failed attempt, for people.
struct AttemptRecord {
  int attempt = 0;
  WallTime time{};
  Microseconds duration{0};
  DeliveryError error;
  std::string execution;
  int http_status = 0;
};

struct DeliveryResult {
  DeliveryKey key;
  int attempt = 0;
  DeliveryOutcome outcome = DeliveryOutcome::kSucceeded;
  DeliveryError error;
  std::optional<Microseconds> retry_after;
  Microseconds duration{0};
  std::string execution;
  int http_status = 0;
  bool timed_out = false;  // The target's window shrinks, as for kRejected.
  // The function's answer where it is a CloudEvent, serialized: published before the engine sees
  // the result.
  std::string reply;
};

// What a row waits for.
enum class RowKind : std::uint8_t {
  kRetry = 1,  // Its next attempt.
  kHeld = 2,   // An earlier event of its key.
  kSink = 3,   // To reach the dead-letter sink; `dead_reason` says why it goes there.
};

enum class DeadReason {
  kAttemptsExhausted,
  kExpired,
  kPermanent,
  kExecutorLost,
  kKeyFailed,
  kHopLimit,
  kRetention,
};

// A delivery that failed at least once, or was moved here so that the floor could pass it.
struct RetryRow {
  Position position;
  RowKind kind = RowKind::kRetry;
  DeadReason dead_reason = DeadReason::kAttemptsExhausted;  // For kSink.
  int member = 0;         // Of a group: the index of the function whose turn it is.
  int attempts_made = 0;  // That consumed an attempt; of this series, this member, or this sink.
  int attempts_sent = 0;  // Since the first attempt ever: numbers the attempts.
  int lost = 0;           // Times the outcome was unknown since the last consumed attempt.
  int rejected = 0;       // Times in a row that it could not be started.
  WallTime due{};         // For storage and people; timers run on the monotonic clock.
  Microseconds delay{0};  // What was waited for; bounds the wait after a restart or a clock jump.
  WallTime age_from{};    // What the maximum age counts from: the append, or the redrive.
  int redrives = 0;
  std::vector<AttemptRecord> log;  // The last ones, at most EngineOptions::attempt_log_max.
};

struct DeadDelivery {
  DeliveryKey key;
  WallTime append_time{};
  DeadReason reason = DeadReason::kAttemptsExhausted;
  int attempts = 0;
  int redrives = 0;
  WallTime time{};
  std::vector<AttemptRecord> log;
  std::uint64_t ordering_key = 0;  // As in Position, of one that made its key fail; otherwise 0.
  // For kRetention: the range that is gone, `key.sequence` to here.
  Sequence last_sequence = kNoSequence;
};

// How far a lane is. Everything up to `floor` is done, and so is every matched event in `acked`.
struct Cursor {
  Sequence floor = kNoSequence;
  std::vector<Sequence> acked;  // Ascending, all above `floor`.
  // Of a replay: its events so far.
  std::uint64_t matched = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dead = 0;
};

// All that has to become durable together.
struct StateTransaction {
  Sequence matched_through = kNoSequence;              // What clean subscriptions share.
  std::map<std::string, Cursor> cursors;               // Of lanes that are not clean.
  std::vector<std::string> cursors_removed;            // Of subscriptions that became clean.
  std::vector<std::pair<std::string, RetryRow>> rows;  // By lane; replaces an earlier one.
  std::vector<DeliveryKey> rows_removed;
  std::vector<DeadDelivery> dead;         // With a copy of the event that the store adds.
  std::vector<DeliveryKey> dead_removed;  // Redriven ones that were delivered now.
  // Lanes that ended: cursor and rows go, before what the transaction holds of them comes.
  std::vector<std::string> forgotten;
  // Replays that are done: marked so, with the counts of their last cursor. The same for the rest.
  std::map<std::string, Cursor> replays_done;
};

// What the store gives back at start.
struct SavedDeliveryState {
  Sequence matched_through = kNoSequence;
  std::map<std::string, Cursor> cursors;
  std::map<std::string, std::vector<RetryRow>> rows;
  // Dead letters kept of each lane that has any: how many, and the bytes of their events.
  struct DeadCount {
    std::uint64_t letters = 0;
    std::uint64_t bytes = 0;
    // By ordering key, the lowest letter that made its key fail: one that has a key, was never
    // redriven, and has another reason than kKeyFailed and kRetention.
    std::map<std::uint64_t, Sequence> failed_keys;
  };
  std::map<std::string, DeadCount> dead;
};

// The part of a subscription that delivery needs. Applies at once, whatever the sequence.
struct DeliverySettings {
  std::string space;                 // Shares of the capacity are per space.
  std::vector<std::string> targets;  // Names of functions: one, several for a group; none for pull.
  bool first_success = false;        // Of a group: otherwise every member in turn.
  bool pull = false;
  RetryPolicy retry;
  std::optional<Microseconds> timeout;  // Of one attempt; with `ordered`, how long it is in doubt.
  int in_flight_max = 64;
  bool paused = false;
  bool ordered = false;
  OnExhausted on_exhausted = OnExhausted::kContinue;
  int held_max = 100'000;
  std::optional<RateLimit> rate;
  BatchPolicy batch;
  std::optional<Microseconds> time_to_live;
  bool has_sink = false;
  std::string sink_function;        // The name; empty when the sink is an event type.
  Sequence drain_to = kNoSequence;  // Set: nothing above is taken.
};

// A delivery to make now.
struct SendOrder {
  DeliveryKey key;
  int attempt = 1;
  bool redriven = false;  // The event may have left the log; the dead letter holds a copy.
  int member = 0;         // Of a group: the index into `targets`.
  bool to_sink = false;   // To the dead-letter sink, with the row's error attributes.
  // Of a batch: further events of the same call, all first attempts. Each gets its own result.
  std::vector<Sequence> batch;
  // For `to_sink`: what the event's error attributes say.
  std::optional<DeadDelivery> dead;
};

// Part of the log to be matched again for one lane.
struct ScanOrder {
  std::string uid;
  Sequence from = kNoSequence;
  Sequence to = kNoSequence;  // Inclusive.
  std::size_t positions_max = 0;
};

// What the engine wants done after a step.
struct EngineOutput {
  std::vector<SendOrder> sends;
  std::vector<ScanOrder> scans;
  std::vector<std::pair<DeliveryKey, int>> cancels;  // Key and attempt.
  std::optional<StateTransaction> transaction;       // Answer with Persisted once it is durable.
  std::optional<MonotonicTime> wake_at;              // Call Tick then, or earlier.
  std::vector<std::string> drained;                  // Lanes that have nothing left to deliver.
};

struct EngineCounters {
  std::uint64_t succeeded = 0;
  std::uint64_t retried = 0;
  std::uint64_t dead = 0;
  std::uint64_t sunk = 0;  // Delivered to a dead-letter sink.
  std::uint64_t rejected = 0;
  std::uint64_t lost = 0;
  std::uint64_t expired = 0;
  std::uint64_t breakers_opened = 0;
  std::uint64_t unknown_results = 0;  // For deliveries that the engine does not have in flight.
};

enum class BreakerState : std::uint8_t { kClosed, kOpen, kHalfOpen };

// Why a lane that is not paused sends nothing.
enum class LaneBlock : std::uint8_t {
  kNone,
  kKeyBacklog,
  kDeadLettersFull,
  kRetriesFull,
  kBreakerOpen,
  kNoExecutor,
  kNoConsumer,
};

// How one lane stands.
struct SubscriptionProgress {
  Sequence floor = kNoSequence;
  std::size_t in_flight = 0;
  std::size_t retrying = 0;
  std::size_t waiting = 0;
  std::size_t held = 0;
  bool catching_up = false;
  std::optional<WallTime> oldest_pending;
  LaneBlock block = LaneBlock::kNone;
  BreakerState breaker = BreakerState::kClosed;  // The worst of its targets'.
  int window = 0;                                // The smallest of its targets'.
  double delivered_per_second = 0;
  double failed_per_second = 0;
  std::vector<Sequence> blocked;  // First events of keys that fail, at most 20.
  std::uint64_t matched = 0;      // Of a replay; as in Cursor.
  std::uint64_t delivered = 0;
  std::uint64_t dead = 0;
};

// What became of the wish to give a delivery up.
enum class CancelVerdict : std::uint8_t {
  kCancelled,   // It waited.
  kInFlight,    // Its attempt was told to end, and is the last one.
  kNotReached,  // The lane has not come to it.
  kOver,        // Nothing was left to do.
  kUnknown,     // No such lane.
  kOrdered,     // Of a lane that keeps an order: not possible.
};

// Where one delivery is.
enum class DeliveryPlace : std::uint8_t {
  kDone,
  kNotReached,
  kWaiting,
  kHeld,
  kInFlight,
  kRetrying
};
struct DeliveryWhereabouts {
  DeliveryPlace place = DeliveryPlace::kNotReached;
  int attempts_sent = 0;
  std::optional<WallTime> due;
  std::vector<AttemptRecord> log;
  bool to_sink = false;
  LaneBlock block = LaneBlock::kNone;
  bool paused = false;
};

}  // namespace penstock::broker
