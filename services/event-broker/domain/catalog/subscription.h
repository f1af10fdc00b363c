// Subscriptions as the broker's rules see them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/http_route.h"
#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/domain/filter/filter.h"

namespace penstock::broker {

enum class Backoff { kExponential, kLinear, kSchedule };

// The events of asynchronous invocations; nobody else can publish types that begin with
// "penstock.".
inline constexpr char kInvocationRequested[] = "penstock.invocation.requested";
inline constexpr char kInvocationCompleted[] = "penstock.invocation.completed";

// Subscriptions whose ids begin so are the broker's own (invocation_lanes.h), by what they deliver.
inline constexpr std::string_view kOwnIdPrefix = "penstock.";
inline constexpr std::string_view kCallsIdPrefix = "penstock.async.";
inline constexpr std::string_view kCallbacksIdPrefix = "penstock.callback.";

// What a subscription delivers: events, asynchronous invocations, or their results to URLs.
enum class LanePurpose { kEvents, kCalls, kCallbacks };

// How a failed delivery is tried again.
struct RetryPolicy {
  int attempts_max = 10;  // The first included.
  Microseconds delay_initial{1'000'000};
  Microseconds delay_max{300'000'000};
  double multiplier = 2;
  double jitter = 0.2;  // Share of the delay by which it is changed at random.
  Microseconds age_max{86'400'000'000};
  Backoff backoff = Backoff::kExponential;
  std::vector<Microseconds> schedule;  // For kSchedule: not empty; the last one repeats.

  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

// What happens to a key when one of its events has used up its policy.
enum class OnExhausted { kContinue, kBlock, kDeadLetterKey };

// Delivery in order by a key.
struct OrderingPolicy {
  std::string by = "partitionkey";  // The attribute that holds the key.
  OnExhausted on_exhausted = OnExhausted::kContinue;
  int held_max = 100'000;  // Rows of events that wait behind a key that fails.

  friend bool operator==(const OrderingPolicy&, const OrderingPolicy&) = default;
};

// How many deliveries may start.
struct RateLimit {
  int per_second = 0;  // At least 1.
  int burst = 0;       // At least 1.

  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

// Several events in one call.
struct BatchPolicy {
  int events_max = 1;
  Microseconds wait_max{0};

  friend bool operator==(const BatchPolicy&, const BatchPolicy&) = default;
};

// Where events go that used up their policy: a function's id, an event type, or (both empty) they
// are kept.
struct DeadLetterSink {
  std::string function;
  std::string event_type;

  bool kept() const { return function.empty() && event_type.empty(); }
  friend bool operator==(const DeadLetterSink&, const DeadLetterSink&) = default;
};

// The first event, as asked for on creation.
struct StartPosition {
  enum class Kind { kNow, kEarliest, kSequence, kTime };
  Kind kind = Kind::kNow;
  Sequence sequence = kNoSequence;  // For kSequence.
  WallTime time{};                  // For kTime.
  Sequence resolved = kNoSequence;  // From where events are delivered; set by the catalog.

  // Whether the same was asked for.
  bool AsksLike(const StartPosition& other) const {
    return kind == other.kind && sequence == other.sequence && time == other.time;
  }
  friend bool operator==(const StartPosition&, const StartPosition&) = default;
};

// Consumers pull.
struct PullPolicy {
  Microseconds ack_timeout{30'000'000};

  friend bool operator==(const PullPolicy&, const PullPolicy&) = default;
};

// Several functions as the subscribers of one event, with one outcome.
struct SubscriberGroup {
  enum class Strategy { kSequence, kFirstSuccess };
  Strategy strategy = Strategy::kSequence;
  std::vector<std::string> functions;  // Ids; at least 2.

  friend bool operator==(const SubscriberGroup&, const SubscriberGroup&) = default;
};

enum class SubscriptionState { kPending, kActive, kPaused, kDraining };

// One revision of a subscription. A plain value.
struct Subscription {
  std::string space;
  std::string id;
  std::string uid;            // New for each creation; delivery ids begin with it.
  std::int64_t revision = 1;  // Counts every change.
  std::int64_t match_revision =
      1;  // The `revision` of the last change of what matches; names a stored revision.
  std::string creator;
  std::map<std::string, std::string> metadata;
  WallTime create_time{};
  WallTime update_time{};
  SubscriptionState state = SubscriptionState::kPending;
  std::string event_type;  // A TypePattern; empty when `http` is set.
  std::string function;    // The function's id, in the same space; empty for groups and pull.
  std::vector<Filter> filters;
  RetryPolicy retry;
  std::optional<Microseconds> timeout;
  int in_flight_max = 64;
  std::optional<HttpRoute> http;
  Sequence effective_sequence = kNoSequence;  // From where `match_revision` matches.
  std::int64_t function_revision = 0;  // The function-manager's, when the function was acquired.
  std::optional<OrderingPolicy> ordering;
  std::optional<RateLimit> rate_limit;
  BatchPolicy batching;
  DeadLetterSink dead_letter_sink;
  std::optional<Microseconds> time_to_live;
  StartPosition start;
  std::optional<PullPolicy> pull;
  std::optional<SubscriberGroup> group;
  // While draining, and after that until it is resumed: nothing above is delivered.
  Sequence drain_to = kNoSequence;

  LanePurpose purpose() const;
  std::string Name() const { return "spaces/" + space + "/subscriptions/" + id; }
  // The name of a function of this space.
  std::string FunctionName(const std::string& function_id) const {
    return "spaces/" + space + "/functions/" + function_id;
  }
  // Ids of the functions that get events, in order: none for pull, several for a group.
  std::vector<std::string> Targets() const;
  // Ids of all functions that must not vanish: targets and the dead-letter sink, each once, sorted.
  // None of the broker's own subscriptions.
  std::vector<std::string> FunctionsHeld() const;
  // The first sequence that this revision meets, once it is known: where it took effect, or, for
  // the first revision of a subscription that starts in the past, its start.
  Sequence MatchesFrom() const;
  std::string Etag() const;
};

// Checks everything that does not depend on other resources, and puts the route into canonical
// form. All problems are reported together.
absl::Status CheckAndNormalize(Subscription& subscription);

}  // namespace penstock::broker
