#include <gtest/gtest.h>
#include <io/cloudevents/v1/cloudevents.pb.h>

#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

// A record that owns its body.
struct Stored {
  explicit Stored(const io::cloudevents::v1::CloudEvent& event) : body(event.SerializeAsString()) {
    record.sequence = 17;
    record.append_time = FromUnixMicros(1'700'000'000'000'123);
    record.space = "shop";
    record.type = "order.paid";
    record.source = "/shop";
    record.id = "a1";
    record.body = body;
  }
  std::string body;
  EventRecord record;
};

io::cloudevents::v1::CloudEvent Event() {
  io::cloudevents::v1::CloudEvent event;
  event.set_id("a1");
  event.set_type("order.paid");
  event.set_source("/shop");
  event.set_spec_version("1.0");
  (*event.mutable_attributes())["subject"].set_ce_string("o-7");
  (*event.mutable_attributes())["urgent"].set_ce_boolean(true);
  (*event.mutable_attributes())["count"].set_ce_integer(-3);
  event.set_text_data("payload");
  return event;
}

TEST(CloudEventAttributes, GivesEveryAttributeAsText) {
  const Stored stored(Event());
  const CloudEventAttributes attributes(stored.record);
  EXPECT_EQ(attributes.Attribute("type"), "order.paid");
  EXPECT_EQ(attributes.Attribute("id"), "a1");
  EXPECT_EQ(attributes.Attribute("specversion"), "1.0");
  EXPECT_EQ(attributes.Attribute("subject"), "o-7");
  EXPECT_EQ(attributes.Attribute("urgent"), "true");
  EXPECT_EQ(attributes.Attribute("count"), "-3");
  EXPECT_EQ(attributes.Attribute("absent"), std::nullopt);
}

TEST(CloudEventAttributes, DamagedBodiesHaveNoMoreAttributesAndDoNotCrash) {
  Stored stored(Event());
  const std::string whole = stored.body;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    stored.record.body = part;
    const CloudEventAttributes attributes(stored.record);
    attributes.Attribute("subject");
    EXPECT_EQ(attributes.Attribute("absent"), std::nullopt);
  }
}

TEST(EventCodec, AStoredEventHasItsPlace) {
  const Stored stored(Event());
  const auto message = ToProto(stored.record);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->name(), "spaces/shop/events/17");
  EXPECT_EQ(message->sequence(), 17);
  EXPECT_EQ(FromProto(message->append_time()), stored.record.append_time);
  EXPECT_EQ(message->event().text_data(), "payload");
}

TEST(EventCodec, AnUnreadableBodyIsDataLoss) {
  Stored stored(Event());
  stored.record.body = "\xff\xff\xff";
  EXPECT_TRUE(absl::IsDataLoss(ToProto(stored.record).status()));
}

AttemptRecord Attempt(int attempt) {
  AttemptRecord record;
  record.attempt = attempt;
  record.time = FromUnixMicros(1'700'000'000'000'000 + attempt);
  record.duration = Microseconds(1'500'000);
  record.error = {"FunctionError", "Boom", "it broke"};
  record.execution = "spaces/shop/executions/e1";
  record.http_status = 503;
  return record;
}

TEST(DeadLetterCodec, AttemptsSurviveStorage) {
  const auto again = ParseAttempts(SerializeAttempts({Attempt(1), Attempt(2)}));
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->size(), 2u);
  EXPECT_EQ(again->at(1).attempt, 2);
  EXPECT_EQ(again->at(1).time, Attempt(2).time);
  EXPECT_EQ(again->at(1).duration, Attempt(2).duration);
  EXPECT_EQ(again->at(1).error.message, "it broke");
  EXPECT_EQ(again->at(1).execution, "spaces/shop/executions/e1");
  EXPECT_EQ(again->at(1).http_status, 503);
  EXPECT_FALSE(ParseAttempts("\xff\xff").ok());
}

TEST(DeadLetterCodec, ClientsSeeWhatHappened) {
  StoredDeadLetter letter;
  letter.delivery.key = {"u1", 17};
  letter.delivery.reason = DeadReason::kPermanent;
  letter.delivery.attempts = 2;
  letter.delivery.redrives = 1;
  letter.delivery.log = {Attempt(1), Attempt(2)};
  letter.space = "shop";
  letter.subscription = "orders";
  letter.function = "bill";
  letter.event = Event().SerializeAsString();
  const pb::DeadLetter message = ToProto(letter);
  EXPECT_EQ(message.name(), "spaces/shop/deadLetters/u1-17");
  EXPECT_EQ(message.subscription(), "spaces/shop/subscriptions/orders");
  EXPECT_EQ(message.function(), "spaces/shop/functions/bill");
  EXPECT_EQ(message.reason(), pb::DeadLetter::PERMANENT_FAILURE);
  EXPECT_EQ(message.event().id(), "a1");
  EXPECT_EQ(message.last_error().type(), "Boom");
  EXPECT_EQ(message.attempt_log_size(), 2);
  EXPECT_EQ(message.redrive_count(), 1);
  letter.delivery.time += Microseconds(1);
  EXPECT_NE(ToProto(letter).etag(), message.etag());
}

TEST(DeadLetterCodec, DeliveryIdsAreRead) {
  EXPECT_EQ(ParseDeliveryId("u1-17"), (DeliveryKey{"u1", 17}));
  EXPECT_EQ(ParseDeliveryId("u-1-17"), (DeliveryKey{"u-1", 17}));
  for (const char* text :
       {"", "-", "u1", "u1-", "-5", "u1-x", "u1-17x", "u1- 17", "u1-99999999999999999999999"}) {
    EXPECT_EQ(ParseDeliveryId(text), std::nullopt) << text;
  }
}

TEST(TimeCodec, TimesBeforeTheEpochAreExact) {
  for (const std::int64_t micros : {-1'500'001LL, -1LL, 0LL, 1LL, 1'700'000'000'123'456LL}) {
    google::protobuf::Timestamp message;
    SetTimestamp(FromUnixMicros(micros), &message);
    EXPECT_GE(message.nanos(), 0);
    EXPECT_EQ(ToUnixMicros(FromProto(message)), micros);
  }
}

}  // namespace
}  // namespace penstock::broker
