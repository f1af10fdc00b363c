// What a subscription may be, as `proto/penstock/events/v1/subscription.proto` states it.
#include <fmt/format.h>

#include <algorithm>

#include "libs/base/names.h"
#include "services/event-broker/domain/catalog/problems.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kScheduleMax = 100;
constexpr std::size_t kGroupMax = 16;

void CheckSchedule(const RetryPolicy& retry, Problems& problems) {
  problems.Check(!retry.schedule.empty() && retry.schedule.size() <= kScheduleMax, "retry.schedule",
                 "expected 1 to 100 delays");
  for (std::size_t i = 0; i < std::min(retry.schedule.size(), kScheduleMax); ++i) {
    problems.Check(retry.schedule[i] >= 1ms && retry.schedule[i] <= 24h,
                   fmt::format("retry.schedule[{}]", i), "expected 1ms to 24h");
  }
}

void CheckRetry(RetryPolicy& retry, Problems& problems) {
  problems.Check(retry.attempts_max >= 1 && retry.attempts_max <= 1000, "retry.maxAttempts",
                 "expected 1 to 1000");
  problems.Check(retry.jitter >= 0 && retry.jitter <= 1, "retry.jitter", "expected 0 to 1");
  problems.Check(retry.age_max >= 1s && retry.age_max <= 24h * 30, "retry.maxAge",
                 "expected 1s to 30 days");
  if (retry.backoff == Backoff::kSchedule) {
    CheckSchedule(retry, problems);
    if (retry.schedule.empty()) return;
    retry.delay_max = *std::max_element(retry.schedule.begin(), retry.schedule.end());
    return;
  }
  problems.Check(retry.schedule.empty(), "retry.schedule",
                 "must not be set together with another backoff than SCHEDULE");
  problems.Check(retry.delay_initial >= 1ms && retry.delay_initial <= 1h, "retry.initialDelay",
                 "expected 1ms to 1h");
  problems.Check(retry.delay_max >= retry.delay_initial && retry.delay_max <= 24h, "retry.maxDelay",
                 "expected initialDelay to 24h");
  problems.Check(retry.multiplier >= 1 && retry.multiplier <= 10, "retry.multiplier",
                 "expected 1 to 10");
}

void CheckMetadata(const std::map<std::string, std::string>& metadata, Problems& problems) {
  problems.Check(metadata.size() <= 64, "metadata", "more than 64 entries");
  for (const auto& [key, value] : metadata) {
    problems.Check(!key.empty() && key.size() <= 63, "metadata." + key.substr(0, 63),
                   "expected a key of 1 to 63 characters");
    problems.Check(value.size() <= 1024, "metadata." + key.substr(0, 63),
                   "expected a value of at most 1024 characters");
  }
}

// The rules of names in filters.
bool IsAttributeName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

void CheckOrdering(const OrderingPolicy& ordering, Problems& problems) {
  problems.Check(IsAttributeName(ordering.by), "ordering.by",
                 "expected an attribute's name: 1 to 64 of a-z and 0-9");
  problems.Check(ordering.held_max >= 1 && ordering.held_max <= 1'000'000, "ordering.maxHeld",
                 "expected 1 to 1000000");
}

void CheckRateLimit(const RateLimit& rate, Problems& problems) {
  problems.Check(rate.per_second >= 1 && rate.per_second <= 1'000'000, "rateLimit.eventsPerSecond",
                 "expected 1 to 1000000");
  problems.Check(rate.burst >= 1 && rate.burst <= 1'000'000, "rateLimit.burst",
                 "expected 1 to 1000000");
}

void CheckBatching(const Subscription& subscription, Problems& problems) {
  const BatchPolicy& batching = subscription.batching;
  if (batching == BatchPolicy()) return;
  problems.Check(batching.events_max >= 1 && batching.events_max <= 256, "batching.maxEvents",
                 "expected 1 to 256");
  problems.Check(batching.wait_max >= 0ms && batching.wait_max <= 60s, "batching.maxWait",
                 "expected 0s to 60s");
  problems.Check(!subscription.ordering, "batching", "must not be set together with ordering");
  problems.Check(!subscription.group, "batching", "must not be set together with group");
  problems.Check(!subscription.pull, "batching", "must not be set together with pull");
}

void CheckSink(const Subscription& subscription, Problems& problems) {
  const DeadLetterSink& sink = subscription.dead_letter_sink;
  if (sink.kept()) return;
  problems.Check(sink.function.empty() || sink.event_type.empty(), "deadLetterSink",
                 "expected exactly one of function and eventType");
  if (!sink.function.empty()) {
    problems.Add(CheckTaggedId("deadLetterSink.function", sink.function));
    problems.Check(!subscription.pull, "deadLetterSink.function",
                   "must not be set together with pull");
  }
  if (!sink.event_type.empty()) {
    problems.Add(TypePattern::Parse("deadLetterSink.eventType", sink.event_type).status());
    problems.Check(sink.event_type.find('*') == std::string::npos, "deadLetterSink.eventType",
                   "must be a type, not a pattern");
    problems.Check(!sink.event_type.starts_with("penstock."), "deadLetterSink.eventType",
                   "types that begin with \"penstock.\" are reserved");
  }
}

void CheckGroup(const Subscription& subscription, Problems& problems) {
  const std::vector<std::string>& functions = subscription.group->functions;
  problems.Check(subscription.function.empty(), "function", "must not be set together with group");
  problems.Check(functions.size() >= 2 && functions.size() <= kGroupMax, "group.functions",
                 "expected 2 to 16 functions");
  for (std::size_t i = 0; i < std::min(functions.size(), kGroupMax); ++i) {
    problems.Add(CheckTaggedId(fmt::format("group.functions[{}]", i), functions[i]));
  }
}

void CheckPull(const Subscription& subscription, Problems& problems) {
  problems.Check(subscription.pull->ack_timeout >= 1s && subscription.pull->ack_timeout <= 12h,
                 "pull.ackTimeout", "expected 1s to 12h");
  problems.Check(subscription.function.empty(), "function", "must not be set together with pull");
  problems.Check(!subscription.group, "group", "must not be set together with pull");
  problems.Check(!subscription.timeout, "timeout",
                 "must not be set together with pull: see pull.ackTimeout");
}

void CheckTargets(const Subscription& subscription, Problems& problems) {
  if (subscription.pull) CheckPull(subscription, problems);
  if (subscription.group) CheckGroup(subscription, problems);
  if (subscription.pull || subscription.group) return;
  problems.Add(CheckTaggedId("function", subscription.function));
}

void CheckStart(const StartPosition& start, Problems& problems) {
  problems.Check(start.kind != StartPosition::Kind::kSequence || start.sequence != kNoSequence,
                 "start.sequence", "expected at least 1");
}

// A route's requests are answered at once: nothing about matching and delivery applies.
void CheckRoute(Subscription& subscription, Problems& problems) {
  const auto excluded = [&](bool unset, const char* field) {
    problems.Check(unset, field, "must not be set together with http");
  };
  problems.Add(CheckTaggedId("function", subscription.function));
  problems.Check(
      subscription.event_type.empty(), "eventType",
      "must not be set together with http: a path's requests have no event type to match");
  excluded(subscription.filters.empty(), "filters");
  excluded(subscription.retry == RetryPolicy(), "retry");
  excluded(!subscription.ordering, "ordering");
  excluded(!subscription.rate_limit, "rateLimit");
  excluded(subscription.batching == BatchPolicy(), "batching");
  excluded(subscription.dead_letter_sink.kept(), "deadLetterSink");
  excluded(!subscription.time_to_live, "timeToLive");
  excluded(subscription.start.kind == StartPosition::Kind::kNow, "start");
  excluded(!subscription.pull, "pull");
  excluded(!subscription.group, "group");
  problems.Add(CheckAndNormalize(*subscription.http));
}

}  // namespace

absl::Status CheckAndNormalize(Subscription& subscription) {
  Problems problems;
  CheckMetadata(subscription.metadata, problems);
  if (subscription.timeout) {
    problems.Check(*subscription.timeout >= 1ms && *subscription.timeout <= 15min, "timeout",
                   "expected 1ms to 15min");
  }
  if (subscription.http) {
    CheckRoute(subscription, problems);
    return problems.Status();
  }
  CheckTargets(subscription, problems);
  problems.Add(TypePattern::Parse("eventType", subscription.event_type).status());
  problems.Add(CheckFilters(subscription.filters));
  problems.Check(subscription.in_flight_max >= 1 && subscription.in_flight_max <= 1024,
                 "maxInFlight", "expected 1 to 1024");
  CheckRetry(subscription.retry, problems);
  if (subscription.ordering) CheckOrdering(*subscription.ordering, problems);
  if (subscription.rate_limit) CheckRateLimit(*subscription.rate_limit, problems);
  CheckBatching(subscription, problems);
  CheckSink(subscription, problems);
  if (subscription.time_to_live) {
    problems.Check(*subscription.time_to_live >= 1s && *subscription.time_to_live <= 24h * 365,
                   "timeToLive", "expected 1s to 365 days");
  }
  CheckStart(subscription.start, problems);
  return problems.Status();
}

}  // namespace penstock::broker
