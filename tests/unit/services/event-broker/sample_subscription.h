// A subscription with every field set, for round trips.
#pragma once

#include <chrono>
#include <string>

#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

inline Subscription SampleSubscription(const std::string& id = "orders",
                                       const std::string& uid = "u1") {
  Subscription subscription;
  subscription.space = "shop";
  subscription.id = id;
  subscription.uid = uid;
  subscription.revision = 1;
  subscription.match_revision = 1;
  subscription.creator = "ann";
  subscription.metadata = {{"team", "checkout"}};
  subscription.create_time = FromUnixMicros(1'700'000'000'000'001);
  subscription.update_time = FromUnixMicros(1'700'000'000'000'002);
  subscription.state = SubscriptionState::kActive;
  subscription.event_type = "order.*";
  subscription.function = "bill";
  Filter not_test;
  not_test.kind = Filter::Kind::kNot;
  not_test.children = {{Filter::Kind::kExact, {{"subject", "test"}}, {}}};
  subscription.filters = {{Filter::Kind::kPrefix, {{"source", "/shop"}}, {}}, not_test};
  subscription.retry.attempts_max = 3;
  subscription.retry.delay_initial = std::chrono::milliseconds(20);
  subscription.retry.jitter = 0;
  subscription.timeout = std::chrono::seconds(7);
  subscription.in_flight_max = 5;
  subscription.effective_sequence = kNoSequence;
  subscription.function_revision = 42;
  return subscription;
}

// The same with everything else that deliveries can have beside a function.
inline Subscription FullSubscription() {
  Subscription subscription = SampleSubscription();
  subscription.retry = {};
  subscription.retry.backoff = Backoff::kSchedule;
  subscription.retry.schedule = {std::chrono::seconds(3), std::chrono::seconds(1)};
  subscription.retry.delay_max = std::chrono::seconds(3);
  subscription.ordering = {"tenant", OnExhausted::kDeadLetterKey, 77};
  subscription.rate_limit = {100, 7};
  subscription.dead_letter_sink.function = "morgue";
  subscription.time_to_live = std::chrono::hours(2);
  subscription.start.kind = StartPosition::Kind::kTime;
  subscription.start.time = FromUnixMicros(1'600'000'000'000'005);
  subscription.start.resolved = 12;
  subscription.drain_to = 99;
  return subscription;
}

}  // namespace penstock::broker
