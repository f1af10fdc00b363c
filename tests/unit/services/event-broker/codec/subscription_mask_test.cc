#include "tests/unit/services/event-broker/codec/subscription_messages.h"

namespace penstock::broker {
namespace {

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

TEST(SubscriptionMask, NamesWhatIsSet) {
  EXPECT_EQ(PathsSet(Message()), (std::set<std::string>{"event_type", "function"}));
  pb::Subscription message;
  message.set_name("spaces/shop/subscriptions/orders");
  message.set_uid("u1");
  message.mutable_rate_limit();
  (*message.mutable_metadata())["a"] = "b";
  EXPECT_EQ(PathsSet(message), (std::set<std::string>{"metadata", "rate_limit"}));
}

TEST(SubscriptionMask, CopiesEveryField) {
  const pb::Subscription full = ToProto(FullSubscription());
  pb::Subscription target = ToProto(SampleSubscription());
  ASSERT_TRUE(ApplyMask(PathsSet(full), full, target).ok());
  for (const char* field :
       {"ordering", "rate_limit", "dead_letter_sink", "time_to_live", "retry", "start"}) {
    const auto* descriptor = pb::Subscription::descriptor()->FindFieldByName(field);
    EXPECT_TRUE(target.GetReflection()->HasField(target, descriptor)) << field;
  }
  EXPECT_EQ(target.ordering().by(), "tenant");
  EXPECT_EQ(target.uid(), "u1");
  ASSERT_TRUE(ApplyMask({"ordering", "rate_limit"}, Message(), target).ok());
  EXPECT_FALSE(target.has_ordering());
  EXPECT_FALSE(target.has_rate_limit());
  EXPECT_TRUE(target.has_time_to_live());
}

TEST(SubscriptionUpdate, ChangesOnlyWhatIsNamed) {
  Subscription current = FullSubscription();
  pb::Subscription given;
  given.mutable_rate_limit()->set_events_per_second(3);
  ASSERT_TRUE(ApplyUpdate(PathsSet(given), given, current).ok());
  Subscription wanted = FullSubscription();
  wanted.rate_limit = {3, 3};
  ExpectSame(current, wanted);
}

TEST(SubscriptionUpdate, WhatWasReadCanBeSentBack) {
  for (const Subscription& subscription : {FullSubscription(), SampleSubscription()}) {
    Subscription current = subscription;
    const absl::Status status = ApplyUpdate({"*"}, ToProto(subscription), current);
    ASSERT_TRUE(status.ok()) << status;
    ExpectSame(current, subscription);
  }
}

TEST(SubscriptionUpdate, AStartStaysWhatItIs) {
  Subscription current = FullSubscription();
  pb::Subscription given = Message();
  ASSERT_TRUE(ApplyUpdate({"*"}, given, current).ok());
  EXPECT_EQ(current.start, FullSubscription().start);
  given.mutable_start()->set_earliest(true);
  EXPECT_EQ(FieldOf(ApplyUpdate({"*"}, given, current)), "start");
  EXPECT_EQ(FieldOf(ApplyUpdate({"start"}, given, current)), "start");
  given.clear_start();
  EXPECT_EQ(FieldOf(ApplyUpdate({"start"}, given, current)), "start");
  EXPECT_EQ(current.start, FullSubscription().start);
}

TEST(SubscriptionUpdate, AGroupTakesTheFunctionsPlace) {
  Subscription current = SampleSubscription();
  pb::Subscription given;
  given.mutable_group()->set_strategy(pb::SubscriberGroup::SEQUENCE);
  given.mutable_group()->add_functions("a");
  given.mutable_group()->add_functions("b");
  ASSERT_TRUE(ApplyUpdate({"group", "function"}, given, current).ok());
  EXPECT_EQ(current.function, "");
  EXPECT_EQ(current.Targets(), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(ApplyUpdate({"group", "function"}, Message(), current).ok());
  EXPECT_EQ(current.Targets(), (std::vector<std::string>{"bill"}));
}

}  // namespace
}  // namespace penstock::broker
