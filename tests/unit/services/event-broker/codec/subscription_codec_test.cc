#include "services/event-broker/codec/subscription_codec.h"

#include <gtest/gtest.h>

#include "libs/base/status.h"
#include "tests/unit/services/event-broker/sample_subscription.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

void ExpectSame(const Subscription& a, const Subscription& b) {
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
}

std::string FieldOf(const absl::Status& status) {
  const auto violations = FieldViolationsOf(status);
  return violations.empty() ? "(" + status.ToString() + ")" : violations.front().field;
}

pb::Subscription Message() {
  pb::Subscription message;
  message.set_function("bill");
  message.set_event_type("order.paid");
  return message;
}

std::string Refused(const pb::Subscription& message) {
  return FieldOf(FromProto(message, "shop").status());
}

TEST(SubscriptionCodec, StorageGivesBackEverything) {
  Subscription subscription = SampleSubscription();
  subscription.revision = 9;
  subscription.match_revision = 4;
  subscription.effective_sequence = 1234;
  for (const auto state :
       {SubscriptionState::kPending, SubscriptionState::kActive, SubscriptionState::kPaused}) {
    subscription.state = state;
    const auto again = FromStored(ToStored(subscription));
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectSame(subscription, *again);
  }
}

TEST(SubscriptionCodec, StorageGivesBackRoutes) {
  Subscription subscription = SampleSubscription();
  subscription.event_type.clear();
  subscription.filters.clear();
  subscription.retry = {};
  subscription.in_flight_max = 64;
  subscription.http = {"GET", "/users/:id", "example.com"};
  const auto again = FromStored(ToStored(subscription));
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectSame(subscription, *again);
}

TEST(SubscriptionCodec, DamagedStorageIsDataLoss) {
  EXPECT_FALSE(FromStored("\xff\xff").ok());
  const std::string good = ToStored(SampleSubscription());
  for (std::size_t size = 0; size < good.size(); ++size) {
    FromStored(std::string_view(good).substr(0, size)).IgnoreError();  // No crash.
  }
}

TEST(SubscriptionCodec, AnswersCanBeSentBack) {
  const Subscription subscription = SampleSubscription();
  const auto again = FromProto(ToProto(subscription), "shop");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->filters, subscription.filters);
  EXPECT_EQ(again->retry, subscription.retry);
  EXPECT_EQ(again->timeout, subscription.timeout);
  EXPECT_EQ(again->in_flight_max, subscription.in_flight_max);
}

TEST(SubscriptionCodec, UnsetFieldsGetTheirDefaults) {
  const auto subscription = FromProto(Message(), "shop");
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  EXPECT_EQ(subscription->retry, RetryPolicy());
  EXPECT_EQ(subscription->in_flight_max, 64);
  EXPECT_EQ(subscription->timeout, std::nullopt);
  EXPECT_EQ(subscription->space, "shop");
}

TEST(SubscriptionCodec, JitterCanBeTurnedOff) {
  auto message = Message();
  message.mutable_retry()->set_jitter(-1);
  EXPECT_EQ(FromProto(message, "shop")->retry.jitter, 0);
  EXPECT_LT(ToProto(*FromProto(message, "shop")).retry().jitter(), 0);
}

TEST(SubscriptionCodec, OneDelayAloneMovesTheOther) {
  auto message = Message();
  message.mutable_retry()->mutable_initial_delay()->set_seconds(600);
  EXPECT_EQ(FromProto(message, "shop")->retry.delay_max, std::chrono::seconds(600));
  message = Message();
  message.mutable_retry()->mutable_max_delay()->set_nanos(5'000'000);
  EXPECT_EQ(FromProto(message, "shop")->retry.delay_initial, std::chrono::milliseconds(5));
}

TEST(SubscriptionCodec, TheFunctionMayBeANameInTheSameSpace) {
  auto message = Message();
  message.set_function("spaces/shop/functions/bill");
  EXPECT_EQ(FromProto(message, "shop")->function, "bill");
  message.set_function("spaces/other/functions/bill");
  EXPECT_EQ(Refused(message), "function");
  message.clear_function();
  EXPECT_EQ(Refused(message), "function");
}

TEST(SubscriptionCodec, RefusalsNameTheField) {
  auto message = Message();
  message.add_filters();
  EXPECT_EQ(Refused(message), "filters[0]");

  message = Message();
  (*message.add_filters()->mutable_exact())["subject"] = "a";
  (*message.mutable_filters(0)->mutable_prefix())["subject"] = "a";
  EXPECT_EQ(Refused(message), "filters[0]");

  message = Message();
  (*message.add_filters()->add_any()->mutable_exact())["subject"] = "a";
  message.mutable_filters(0)->add_any();
  EXPECT_EQ(Refused(message), "filters[0].any[1]");

  message = Message();
  message.mutable_timeout()->set_seconds(-1);
  EXPECT_EQ(Refused(message), "timeout");

  message = Message();
  message.mutable_retry()->mutable_max_age()->set_nanos(-1);
  EXPECT_EQ(Refused(message), "retry.maxAge");

  message = Message();
  message.mutable_http()->set_path("/a");
  message.set_max_in_flight(3);
  EXPECT_EQ(Refused(message), "maxInFlight");
}

TEST(SubscriptionCodec, DeepFiltersAreRefusedWithoutRecursionWithoutEnd) {
  auto message = Message();
  pb::Filter* filter = message.add_filters();
  for (int depth = 0; depth < 80; ++depth) filter = filter->mutable_not_();
  (*filter->mutable_exact())["subject"] = "a";
  EXPECT_FALSE(FromProto(message, "shop").ok());
}

TEST(SubscriptionMask, CopiesWhatItNames) {
  pb::Subscription target = ToProto(SampleSubscription());
  pb::Subscription from = Message();
  ASSERT_TRUE(ApplyMask({"event_type", "filters"}, from, target).ok());
  EXPECT_EQ(target.event_type(), "order.paid");
  EXPECT_EQ(target.filters_size(), 0);
  EXPECT_EQ(target.max_in_flight(), 5);
  ASSERT_TRUE(ApplyMask({"*"}, from, target).ok());
  EXPECT_FALSE(target.has_timeout());
  EXPECT_TRUE(target.metadata().empty());
}

TEST(SubscriptionMask, RefusesWhatCannotChange) {
  for (const char* path : {"uid", "state", "retry.max_attempts", "nonsense", "", "name"}) {
    pb::Subscription target = ToProto(SampleSubscription());
    const absl::Status status = ApplyMask({path}, Message(), target);
    EXPECT_EQ(FieldOf(status), "updateMask") << path;
  }
}

}  // namespace
}  // namespace penstock::broker
