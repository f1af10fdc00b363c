// Subscriptions as the broker's rules see them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/http_route.h"
#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/domain/filter/filter.h"

namespace penstock::broker {

// How a failed delivery is tried again.
struct RetryPolicy {
  int attempts_max = 10;  // The first included.
  Microseconds delay_initial{1'000'000};
  Microseconds delay_max{300'000'000};
  double multiplier = 2;
  double jitter = 0.2;  // Share of the delay by which it is changed at random.
  Microseconds age_max{86'400'000'000};

  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

enum class SubscriptionState { kPending, kActive, kPaused };

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
  std::string function;    // The function's id, in the same space.
  std::vector<Filter> filters;
  RetryPolicy retry;
  std::optional<Microseconds> timeout;
  int in_flight_max = 64;
  std::optional<HttpRoute> http;
  Sequence effective_sequence = kNoSequence;  // From where `match_revision` matches.
  std::int64_t function_revision = 0;  // The function-manager's, when the function was acquired.

  std::string Name() const { return "spaces/" + space + "/subscriptions/" + id; }
  std::string FunctionName() const { return "spaces/" + space + "/functions/" + function; }
  std::string Etag() const;
};

// Checks everything that does not depend on other resources, and puts the route into canonical
// form. All problems are reported together.
absl::Status CheckAndNormalize(Subscription& subscription);

}  // namespace penstock::broker
