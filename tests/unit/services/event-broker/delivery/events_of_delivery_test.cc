// What delivery publishes and rewrites: answers, dead letters on their way to a sink, expiry.
#include <io/cloudevents/v1/cloudevents.pb.h>

#include <chrono>

#include "libs/cloudevents/event.h"
#include "tests/unit/services/event-broker/delivery/runner_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;
using io::cloudevents::v1::CloudEvent;

CloudEvent MakeEvent(const std::string& type = "order.paid") {
  CloudEvent event;
  event.set_id("e1");
  event.set_source("/test");
  event.set_spec_version("1.0");
  event.set_type(type);
  event.set_text_data("hello");
  return event;
}

CloudEvent ParseEvent(std::string_view body) {
  CloudEvent event;
  event.ParseFromArray(body.data(), static_cast<int>(body.size()));
  return event;
}

std::string Attribute(const CloudEvent& event, const std::string& name) {
  return cloudevents::AttributeText(event, name).value_or("");
}

class EventsOfDeliveryTest : public RunnerTest {
 protected:
  // The first event of that type in the log; waits for it.
  std::optional<EventRecord> FindByType(const std::string& type) {
    std::optional<EventRecord> found;
    Eventually([&] {
      const auto scanned = log_->Scan({.filter = {.types = {type}, .control_records = false}});
      if (scanned.ok() && !scanned->records.empty()) found = scanned->records.front().Detached();
      return found.has_value();
    });
    return found;
  }
};

TEST_F(EventsOfDeliveryTest, AnAnswerIsPublishedBeforeItsDeliveryIsDone) {
  answer_ = nullptr;
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok()) << created.status();
  CloudEvent event = MakeEvent();
  (*event.mutable_attributes())["penstockhops"].set_ce_integer(3);
  const Sequence sequence = Publish(1, "order.paid", event.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  CloudEvent reply = MakeEvent("order.answered");
  reply.set_id("whatever");
  (*reply.mutable_attributes())["partitionkey"].set_ce_string("k");
  invoker_->FinishWithReply(invoker_->orders()[0], reply.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 1; }));
  const auto record = FindByType("order.answered");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->id, DeliveryKey({created->subscription.uid, sequence}).Id() + "/reply");
  EXPECT_EQ(record->space, "shop");
  EXPECT_EQ(record->ordering_key, "k");
  EXPECT_EQ(Attribute(ParseEvent(record->body), "penstockhops"), "4");
  EXPECT_EQ(runner_->stats().replies, 1u);
}

TEST_F(EventsOfDeliveryTest, TheSeventeenthAnswerToAnAnswerIsADeadLetter) {
  answer_ = nullptr;
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  CloudEvent event = MakeEvent();
  (*event.mutable_attributes())["penstockhops"].set_ce_integer(16);
  Publish(1, "order.paid", event.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  invoker_->FinishWithReply(invoker_->orders()[0], MakeEvent("order.again").SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  EXPECT_EQ(DeadLetters()[0].delivery.reason, DeadReason::kHopLimit);
  EXPECT_EQ(runner_->stats().replies, 0u);
}

TEST_F(EventsOfDeliveryTest, AnAnswerThatMayNotBePublishedFailsItsDelivery) {
  answer_ = nullptr;
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(1, "order.paid", MakeEvent().SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  invoker_->FinishWithReply(invoker_->orders()[0],
                            MakeEvent("penstock.internal").SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  const StoredDeadLetter letter = DeadLetters()[0];
  EXPECT_EQ(letter.delivery.reason, DeadReason::kPermanent);
  EXPECT_EQ(letter.delivery.log.back().error.type, "InvalidReply");
}

TEST_F(EventsOfDeliveryTest, ASinkThatIsAnEventTypeGetsTheEventWithItsReason) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kPermanent; };
  StartBroker();
  Subscription wanted = Wanted("orders");
  wanted.dead_letter_sink.event_type = "order.failed";
  const auto created = Create(wanted);
  ASSERT_TRUE(created.ok()) << created.status();
  const Sequence sequence = Publish(1, "order.paid", MakeEvent().SerializeAsString());
  const auto record = FindByType("order.failed");
  ASSERT_TRUE(record);
  const std::string id = DeliveryKey({created->subscription.uid, sequence}).Id();
  EXPECT_EQ(record->source, "/spaces/shop/deadLetters");
  EXPECT_EQ(record->id, id);
  const CloudEvent event = ParseEvent(record->body);
  EXPECT_EQ(Attribute(event, "deadletterreason"), "PERMANENT_FAILURE");
  EXPECT_EQ(Attribute(event, "deadletterof"), id);
  EXPECT_EQ(Attribute(event, "deadletterattempts"), "1");
  EXPECT_EQ(Attribute(event, "deadlettererror"), "Boom: it broke");
  EXPECT_EQ(event.text_data(), "hello");
  ASSERT_TRUE(Eventually([&] { return runner_->stats().sunk == 1; }));
  EXPECT_TRUE(DeadLetters().empty());
}

TEST_F(EventsOfDeliveryTest, ASinkThatIsAFunctionIsCalledWithTheReason) {
  answer_ = [](const InvocationOrder& order) {
    return order.function.ends_with("/undertaker") ? DeliveryOutcome::kSucceeded
                                                   : DeliveryOutcome::kPermanent;
  };
  StartBroker();
  Subscription wanted = Wanted("orders");
  wanted.dead_letter_sink.function = "undertaker";
  ASSERT_TRUE(Create(wanted).ok());
  Publish(1, "order.paid", MakeEvent().SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return runner_->stats().sunk == 1; }));
  const InvocationOrder order = invoker_->orders().back();
  EXPECT_EQ(order.function, "spaces/shop/functions/undertaker");
  const CloudEvent event = ParseEvent(order.event.view());
  EXPECT_EQ(event.id(), "e1");
  EXPECT_EQ(Attribute(event, "deadletterreason"), "PERMANENT_FAILURE");
}

TEST_F(EventsOfDeliveryTest, AnEventWhoseTimeHasPassedIsNotSent) {
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  CloudEvent late = MakeEvent();
  (*late.mutable_attributes())["expirytime"].set_ce_string("2001-01-01T00:00:00Z");
  Publish(1, "order.paid", late.SerializeAsString());
  CloudEvent early = MakeEvent();
  early.set_text_data("expirytime");  // The word alone means nothing.
  Publish(1, "order.paid", early.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  EXPECT_EQ(DeadLetters()[0].delivery.reason, DeadReason::kExpired);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 1; }));
  EXPECT_EQ(invoker_->count(), 1u);
}

}  // namespace
}  // namespace penstock::broker
