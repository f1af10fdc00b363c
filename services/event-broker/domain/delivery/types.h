// What goes into the delivery engine, what comes out, and what it keeps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

// One event for one subscription. Orders by uid, then sequence.
struct DeliveryKey {
  std::string uid;
  Sequence sequence = kNoSequence;

  // The id that functions see: the same over all attempts.
  std::string Id() const { return uid + "-" + std::to_string(sequence); }

  friend auto operator<=>(const DeliveryKey&, const DeliveryKey&) = default;
};

struct Position {
  Sequence sequence = kNoSequence;
  WallTime append_time{};
};

// How an attempt ended.
enum class DeliveryOutcome {
  kSucceeded,
  kRetryable,  // Consumes an attempt.
  kPermanent,  // Consumes an attempt and ends the delivery.
  kRejected,   // Provably not started: consumes none.
  kUnknown,    // The stream was lost after sending: consumes one of the engine's `lost_max`.
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
};

// A delivery that failed at least once, or was moved here so that the floor could pass it.
struct RetryRow {
  Position position;
  int attempts_made = 0;  // That consumed an attempt.
  int lost = 0;           // Times the outcome was unknown since the last consumed attempt.
  int rejected = 0;       // Times in a row that it could not be started.
  WallTime due{};         // For storage and people; timers run on the monotonic clock.
  Microseconds delay{0};  // What was waited for; bounds the wait after a restart or a clock jump.
  WallTime age_from{};    // What the maximum age counts from: the append, or the redrive.
  int redrives = 0;
  std::vector<AttemptRecord> log;  // The last ones, at most EngineOptions::attempt_log_max.
};

enum class DeadReason { kAttemptsExhausted, kExpired, kPermanent, kExecutorLost };

struct DeadDelivery {
  DeliveryKey key;
  WallTime append_time{};
  DeadReason reason = DeadReason::kAttemptsExhausted;
  int attempts = 0;
  int redrives = 0;
  WallTime time{};
  std::vector<AttemptRecord> log;
};

// How far a subscription is. Everything up to `floor` is done, and so is every matched event in
// `acked`.
struct Cursor {
  Sequence floor = kNoSequence;
  std::vector<Sequence> acked;  // Ascending, all above `floor`.
};

// All that has to become durable together.
struct StateTransaction {
  Sequence matched_through = kNoSequence;              // What clean subscriptions share.
  std::map<std::string, Cursor> cursors;               // Of subscriptions that are not clean.
  std::vector<std::string> cursors_removed;            // Of subscriptions that became clean.
  std::vector<std::pair<std::string, RetryRow>> rows;  // By uid; replaces an earlier one.
  std::vector<DeliveryKey> rows_removed;
  std::vector<DeadDelivery> dead;         // With a copy of the event that the store adds.
  std::vector<DeliveryKey> dead_removed;  // Redriven ones that were delivered now.
  std::vector<std::string> forgotten;     // Deleted subscriptions: cursor and rows go.
};

// What the store gives back at start.
struct SavedDeliveryState {
  Sequence matched_through = kNoSequence;
  std::map<std::string, Cursor> cursors;
  std::map<std::string, std::vector<RetryRow>> rows;
};

// The part of a subscription that delivery needs. Applies at once, whatever the sequence.
struct DeliverySettings {
  RetryPolicy retry;
  int in_flight_max = 64;
  bool paused = false;
};

// A delivery to make now.
struct SendOrder {
  DeliveryKey key;
  int attempt = 1;
  bool redriven = false;  // The event may have left the log; the dead letter holds a copy.
};

// Part of the log to be matched again for one subscription.
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
};

struct EngineCounters {
  std::uint64_t succeeded = 0;
  std::uint64_t retried = 0;
  std::uint64_t dead = 0;
  std::uint64_t rejected = 0;
  std::uint64_t lost = 0;
  std::uint64_t unknown_results = 0;  // For deliveries that the engine does not have in flight.
};

// How one subscription stands.
struct SubscriptionProgress {
  Sequence floor = kNoSequence;
  std::size_t in_flight = 0;
  std::size_t retrying = 0;
  std::size_t waiting = 0;
  bool catching_up = false;
  std::optional<WallTime> oldest_pending;
};

}  // namespace penstock::broker
