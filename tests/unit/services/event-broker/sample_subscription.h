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

}  // namespace penstock::broker
