#include "tests/unit/services/event-broker/codec/subscription_messages.h"

namespace penstock::broker {
namespace {

std::string Refused(const pb::Subscription& message) {
  return FieldOf(FromProto(message, "shop").status());
}

TEST(SubscriptionCodec, StorageGivesBackEverything) {
  Subscription subscription = SampleSubscription();
  subscription.revision = 9;
  subscription.match_revision = 4;
  subscription.effective_sequence = 1234;
  for (const auto state : {SubscriptionState::kPending, SubscriptionState::kActive,
                           SubscriptionState::kPaused, SubscriptionState::kDraining}) {
    subscription.state = state;
    const auto again = FromStored(ToStored(subscription));
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectSame(subscription, *again);
  }
}

void ExpectKept(const Subscription& subscription) {
  const auto again = FromStored(ToStored(subscription));
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectSame(subscription, *again);
}

TEST(SubscriptionCodec, StorageGivesBackEveryPolicy) {
  ExpectKept(FullSubscription());
  Subscription subscription = SampleSubscription();
  subscription.retry.backoff = Backoff::kLinear;
  subscription.batching = {20, std::chrono::milliseconds(1500)};
  subscription.dead_letter_sink.event_type = "order.failed";
  subscription.start.kind = StartPosition::Kind::kEarliest;
  ExpectKept(subscription);
  subscription.start.kind = StartPosition::Kind::kSequence;
  subscription.start.sequence = 9;
  subscription.start.resolved = 11;
  ExpectKept(subscription);
  subscription = SampleSubscription();
  subscription.function.clear();
  subscription.group = SubscriberGroup{SubscriberGroup::Strategy::kFirstSuccess, {"b", "a", "b"}};
  ExpectKept(subscription);
  subscription.group->strategy = SubscriberGroup::Strategy::kSequence;
  ExpectKept(subscription);
  subscription = SampleSubscription();
  subscription.function.clear();
  subscription.timeout.reset();
  subscription.pull = PullPolicy{std::chrono::minutes(7)};
  for (const auto exhausted :
       {OnExhausted::kContinue, OnExhausted::kBlock, OnExhausted::kDeadLetterKey}) {
    subscription.ordering = OrderingPolicy{"subject", exhausted, 5};
    ExpectKept(subscription);
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

TEST(SubscriptionCodec, PoliciesGetTheirDefaults) {
  auto message = Message();
  message.mutable_ordering();
  message.mutable_rate_limit()->set_events_per_second(40);
  message.mutable_batching();
  message.mutable_start()->set_resolved_sequence(77);  // Not for clients to set.
  const auto subscription = FromProto(message, "shop");
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  EXPECT_EQ(subscription->ordering, OrderingPolicy());
  EXPECT_EQ(subscription->rate_limit, (RateLimit{40, 40}));
  EXPECT_EQ(subscription->batching, BatchPolicy());
  EXPECT_EQ(subscription->start, StartPosition());
  EXPECT_TRUE(subscription->dead_letter_sink.kept());
  message.clear_function();
  message.mutable_pull();
  EXPECT_EQ(FromProto(message, "shop")->pull, PullPolicy());
}

TEST(SubscriptionCodec, AScheduleStandsAlone) {
  auto message = Message();
  message.mutable_retry()->add_schedule()->set_seconds(2);
  message.mutable_retry()->add_schedule()->set_seconds(1);
  const auto subscription = FromProto(message, "shop");
  EXPECT_EQ(subscription->retry.backoff, Backoff::kSchedule);
  EXPECT_EQ(subscription->retry.delay_max, std::chrono::seconds(2));
  const auto with = [&](auto change) {
    auto changed = message;
    change(*changed.mutable_retry());
    return Refused(changed);
  };
  EXPECT_EQ(with([](auto& retry) { retry.mutable_initial_delay()->set_seconds(1); }),
            "retry.initialDelay");
  EXPECT_EQ(with([](auto& retry) { retry.mutable_max_delay()->set_seconds(1); }), "retry.maxDelay");
  EXPECT_EQ(with([](auto& retry) { retry.set_multiplier(2); }), "retry.multiplier");
  EXPECT_EQ(with([](auto& retry) { retry.set_backoff(pb::RetryPolicy::LINEAR); }),
            "retry.schedule");
  EXPECT_EQ(with([](auto& retry) { retry.add_schedule()->set_seconds(-1); }), "retry.schedule[2]");
}

TEST(SubscriptionCodec, UnknownEnumValuesAreRefused) {
  auto message = Message();
  message.mutable_retry()->set_backoff(static_cast<pb::RetryPolicy::Backoff>(9));
  EXPECT_EQ(Refused(message), "retry.backoff");
  message = Message();
  message.mutable_ordering()->set_on_exhausted(static_cast<pb::Ordering::OnExhausted>(9));
  EXPECT_EQ(Refused(message), "ordering.onExhausted");
  message = Message();
  message.mutable_group()->set_strategy(static_cast<pb::SubscriberGroup::Strategy>(9));
  EXPECT_EQ(Refused(message), "group.strategy");
  message.mutable_group()->clear_strategy();
  EXPECT_EQ(Refused(message), "group.strategy");
}

TEST(SubscriptionCodec, RefusalsOfPoliciesNameTheField) {
  auto message = Message();
  message.mutable_dead_letter_sink();
  EXPECT_EQ(Refused(message), "deadLetterSink");
  message.mutable_dead_letter_sink()->set_event_type("a.b");
  message.mutable_dead_letter_sink()->set_function("morgue");
  EXPECT_EQ(Refused(message), "deadLetterSink");
  message.mutable_dead_letter_sink()->clear_event_type();
  message.mutable_dead_letter_sink()->set_function("spaces/other/functions/morgue");
  EXPECT_EQ(Refused(message), "deadLetterSink.function");

  message = Message();
  message.mutable_start()->set_sequence(-1);
  EXPECT_EQ(Refused(message), "start.sequence");
  message.mutable_start()->set_sequence(5);
  message.mutable_start()->set_earliest(true);
  EXPECT_EQ(Refused(message), "start");
  message.mutable_start()->clear_earliest();
  message.mutable_start()->clear_sequence();
  message.mutable_start()->mutable_time()->set_seconds(INT64_MAX);
  EXPECT_EQ(Refused(message), "start.time");

  message = Message();
  message.mutable_time_to_live()->set_seconds(-1);
  EXPECT_EQ(Refused(message), "timeToLive");
  message = Message();
  message.mutable_batching()->mutable_max_wait()->set_seconds(-1);
  EXPECT_EQ(Refused(message), "batching.maxWait");
  message = Message();
  message.mutable_pull()->mutable_ack_timeout()->set_nanos(-1);
  EXPECT_EQ(Refused(message), "pull.ackTimeout");
  message = Message();
  message.mutable_group()->set_strategy(pb::SubscriberGroup::SEQUENCE);
  message.mutable_group()->add_functions("a");
  message.mutable_group()->add_functions("a b");
  EXPECT_EQ(Refused(message), "group.functions[1]");
}

TEST(SubscriptionCodec, APathHasNoPolicies) {
  const auto with = [](auto change) {
    pb::Subscription message;
    message.set_function("bill");
    message.mutable_http()->set_path("/a");
    change(message);
    return FromProto(message, "shop").ok() ? "" : Refused(message);
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_EQ(with([](auto& message) { message.mutable_ordering(); }), "ordering");
  EXPECT_EQ(with([](auto& message) { message.mutable_rate_limit(); }), "rateLimit");
  EXPECT_EQ(with([](auto& message) { message.mutable_batching(); }), "batching");
  EXPECT_EQ(with([](auto& message) { message.mutable_dead_letter_sink(); }), "deadLetterSink");
  EXPECT_EQ(with([](auto& message) { message.mutable_time_to_live(); }), "timeToLive");
  EXPECT_EQ(with([](auto& message) { message.mutable_start(); }), "start");
  EXPECT_EQ(with([](auto& message) { message.mutable_pull(); }), "pull");
  EXPECT_EQ(with([](auto& message) { message.mutable_group(); }), "group");
  EXPECT_EQ(with([](auto& message) { message.clear_function(); }), "function");
}

}  // namespace
}  // namespace penstock::broker
