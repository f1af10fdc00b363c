#include <gtest/gtest.h>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/replay_codec.h"
#include "services/event-broker/codec/schedule_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

StoredDeadLetter Letter() {
  StoredDeadLetter letter;
  letter.delivery.key = {"u1", 17};
  letter.space = "shop";
  letter.subscription = "orders";
  letter.function = "bill";
  return letter;
}

std::string SerializedEvent(const std::string& id) {
  io::cloudevents::v1::CloudEvent event;
  event.set_id(id);
  return event.SerializeAsString();
}

TEST(DeadLetterCodec, EveryReasonComesBack) {
  for (int reason = pb::DeadLetter::Reason_MIN + 1; reason <= pb::DeadLetter::Reason_MAX;
       ++reason) {
    const auto named = static_cast<pb::DeadLetter::Reason>(reason);
    const auto read = FromProto("reason", named);
    ASSERT_TRUE(read.ok()) << reason;
    StoredDeadLetter letter = Letter();
    letter.delivery.reason = *read;
    EXPECT_EQ(ToProto(letter).reason(), named);
  }
  for (const int unknown : {0, 99}) {
    const auto read = FromProto("reason", static_cast<pb::DeadLetter::Reason>(unknown));
    EXPECT_EQ(FieldViolationsOf(read.status()).at(0).field, "reason");
  }
}

TEST(DeadLetterCodec, AnEditShowsBothEventsAndAnotherEtag) {
  StoredDeadLetter letter = Letter();
  letter.event = SerializedEvent("a");
  const std::string before = ToProto(letter).etag();
  EXPECT_FALSE(ToProto(letter).has_original_event());
  letter.original_event = std::exchange(letter.event, SerializedEvent("b"));
  letter.edits = 1;
  const pb::DeadLetter message = ToProto(letter);
  EXPECT_EQ(message.event().id(), "b");
  EXPECT_EQ(message.original_event().id(), "a");
  EXPECT_NE(message.etag(), before);
}

TEST(DeadLetterCodec, ARangeSaysHowManyItMayHold) {
  StoredDeadLetter letter = Letter();
  EXPECT_EQ(ToProto(letter).lost_count(), 0);
  letter.delivery.reason = DeadReason::kRetention;
  letter.delivery.last_sequence = 20;
  EXPECT_EQ(ToProto(letter).last_sequence(), 20);
  EXPECT_EQ(ToProto(letter).lost_count(), 4);
  EXPECT_FALSE(ToProto(letter).has_event());
}

TEST(DeadLetterCodec, WithoutAFunctionNoneIsNamed) {
  StoredDeadLetter letter = Letter();
  EXPECT_EQ(ToProto(letter).function(), "spaces/shop/functions/bill");
  letter.function.clear();
  EXPECT_EQ(ToProto(letter).function(), "");
}

TEST(ReplayCodec, ShowsRangeStateAndProgress) {
  StoredReplay replay;
  replay.replay = "r1";
  replay.from = 5;
  replay.to = 9;
  replay.rate_per_second = 3;
  replay.progress = {7, {}, 4, 2, 1};
  replay.create_time = FromUnixMicros(1'700'000'000'000'000);
  pb::Replay message = ToProto(replay, "spaces/shop/subscriptions/orders");
  EXPECT_EQ(message.name(), "spaces/shop/subscriptions/orders/replays/r1");
  EXPECT_EQ(message.state(), pb::Replay::RUNNING);
  EXPECT_EQ(message.from_sequence(), 5);
  EXPECT_EQ(message.to_sequence(), 9);
  EXPECT_EQ(message.rate_per_second(), 3);
  EXPECT_EQ(message.floor_sequence(), 7);
  EXPECT_EQ(message.matched_count(), 4);
  EXPECT_EQ(message.delivered_count(), 2);
  EXPECT_EQ(message.dead_letter_count(), 1);
  EXPECT_EQ(message.create_time().seconds(), 1'700'000'000);
  EXPECT_FALSE(message.has_end_time());
  replay.state = ReplayState::kCancelled;
  replay.end_time = FromUnixMicros(1'700'000'009'000'000);
  message = ToProto(replay, "spaces/shop/subscriptions/orders");
  EXPECT_EQ(message.state(), pb::Replay::CANCELLED);
  EXPECT_EQ(message.end_time().seconds(), 1'700'000'009);
}

TEST(ScheduleCodec, ShowsWhenAndWhat) {
  ScheduledEvent event;
  event.space = "shop";
  event.key = "k7";
  event.body = SerializedEvent("a");
  event.due = FromUnixMicros(1'700'000'009'000'000);
  event.create_time = FromUnixMicros(1'700'000'000'000'000);
  const auto message = ToProto(event);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->name(), "spaces/shop/scheduledEvents/k7");
  EXPECT_EQ(message->due_time().seconds(), 1'700'000'009);
  EXPECT_EQ(message->create_time().seconds(), 1'700'000'000);
  EXPECT_EQ(message->event().id(), "a");
  event.body = "\xff\xff";
  EXPECT_TRUE(absl::IsDataLoss(ToProto(event).status()));
}

}  // namespace
}  // namespace penstock::broker
