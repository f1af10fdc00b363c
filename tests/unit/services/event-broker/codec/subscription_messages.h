// Subscriptions as messages, and how two are compared.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"
#include "services/event-broker/codec/subscription_codec.h"
#include "tests/unit/services/event-broker/sample_subscription.h"

namespace penstock::broker {

namespace pb = penstock::events::v1;

inline void ExpectSame(const Subscription& a, const Subscription& b) {
  EXPECT_EQ(a.Name(), b.Name());
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.revision, b.revision);
  EXPECT_EQ(a.match_revision, b.match_revision);
  EXPECT_EQ(a.creator, b.creator);
  EXPECT_EQ(a.metadata, b.metadata);
  EXPECT_EQ(a.create_time, b.create_time);
  EXPECT_EQ(a.update_time, b.update_time);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.event_type, b.event_type);
  EXPECT_EQ(a.function, b.function);
  EXPECT_EQ(a.filters, b.filters);
  EXPECT_EQ(a.retry, b.retry);
  EXPECT_EQ(a.timeout, b.timeout);
  EXPECT_EQ(a.in_flight_max, b.in_flight_max);
  EXPECT_EQ(a.http, b.http);
  EXPECT_EQ(a.effective_sequence, b.effective_sequence);
  EXPECT_EQ(a.function_revision, b.function_revision);
  EXPECT_EQ(a.ordering, b.ordering);
  EXPECT_EQ(a.rate_limit, b.rate_limit);
  EXPECT_EQ(a.batching, b.batching);
  EXPECT_EQ(a.dead_letter_sink, b.dead_letter_sink);
  EXPECT_EQ(a.time_to_live, b.time_to_live);
  EXPECT_EQ(a.start, b.start);
  EXPECT_EQ(a.pull, b.pull);
  EXPECT_EQ(a.group, b.group);
  EXPECT_EQ(a.drain_to, b.drain_to);
}

inline std::string FieldOf(const absl::Status& status) {
  const auto violations = FieldViolationsOf(status);
  return violations.empty() ? "(" + status.ToString() + ")" : violations.front().field;
}

inline pb::Subscription Message() {
  pb::Subscription message;
  message.set_function("bill");
  message.set_event_type("order.paid");
  return message;
}

}  // namespace penstock::broker
