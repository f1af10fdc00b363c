// What delivery publishes and rewrites: answers, dead letters on their way to a sink, expiry.
#include <io/cloudevents/v1/cloudevents.pb.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "libs/cloudevents/event.h"
#include "services/event-broker/domain/catalog/invocation_lanes.h"
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

TEST_F(EventsOfDeliveryTest, AnswersThatDoNotFitTheLogsQueueTogetherArePublishedInParts) {
  answer_ = nullptr;
  log_options_.queue_bytes_max = 6u << 20;
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(8, "order.paid", MakeEvent().SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 8; }));
  CloudEvent reply = MakeEvent("order.answered");
  reply.set_text_data(std::string(900'000, 'x'));
  invoker_->FinishWithReplies(invoker_->orders(), reply.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 8; }));
  EXPECT_EQ(runner_->stats().replies, 8u);
}

TEST_F(EventsOfDeliveryTest, AnAnswerIsPublishedThoughItsSubscriptionHasClosedTheSpace) {
  answer_ = nullptr;
  log_options_.segment_bytes = 4096;
  log_options_.set_aside_bytes = 0;
  log_options_.retention.bytes = 400'000;
  log_options_.retention.on_pin_limit = OnPinLimit::kRefuse;
  StartBroker();
  ASSERT_TRUE(Create(Wanted("orders")).ok());
  Publish(1, "order.paid", MakeEvent().SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  // More than half of the log waits behind the delivery.
  CloudEvent other = MakeEvent("order.other");
  other.set_text_data(std::string(1000, 'x'));
  for (int i = 0; i < 5; ++i) Publish(50, "order.other", other.SerializeAsString());
  ASSERT_TRUE(Eventually(
      [&] { return log_->ApplyRetention().ok() && !log_->Health().pins.refused_spaces.empty(); }));
  EXPECT_EQ(Publish(), kNoSequence);
  invoker_->FinishWithReply(invoker_->orders()[0], MakeEvent("order.answered").SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 1; }));
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

// Asynchronous invocations of the function "bill".
class InvocationsTest : public EventsOfDeliveryTest {
 protected:
  absl::Status Ensure(const RetryPolicy& retry, LanePurpose purpose = LanePurpose::kCalls) {
    if (lanes_ == nullptr) lanes_ = std::make_unique<InvocationLanes>(*catalog_);
    std::promise<absl::Status> answer;
    lanes_->Ensure({{purpose, "shop", "bill", retry}},
                   [&](absl::Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  static RetryPolicy Retry(int attempts_max) {
    RetryPolicy retry;
    retry.attempts_max = attempts_max;
    retry.delay_initial = retry.delay_max = std::chrono::milliseconds(1);
    return retry;
  }
  static CloudEvent Requested(const std::map<std::string, std::string>& attributes) {
    CloudEvent event = MakeEvent(kInvocationRequested);
    (*event.mutable_attributes())["subject"].set_ce_string("bill");
    for (const auto& [name, value] : attributes) {
      (*event.mutable_attributes())[name].set_ce_string(value);
    }
    return event;
  }

  std::unique_ptr<InvocationLanes> lanes_;
};

TEST_F(InvocationsTest, EachFunctionHasASubscriptionThatHoldsNothing) {
  answer_ = nullptr;
  StartBroker();
  ASSERT_TRUE(Ensure(Retry(3)).ok());
  ASSERT_TRUE(Ensure(Retry(3)).ok()) << "it is there already";
  auto lane = catalog_->Get("shop", "penstock.async.bill");
  ASSERT_TRUE(lane.ok()) << lane.status();
  EXPECT_EQ(references_.held, 0);
  ASSERT_TRUE(Ensure(Retry(7)).ok());
  EXPECT_EQ(catalog_->Get("shop", "penstock.async.bill")->retry.attempts_max, 7);
  EXPECT_EQ(catalog_->Get("shop", "penstock.async.bill")->uid, lane->uid);

  Publish(1, kInvocationRequested, Requested({}).SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  EXPECT_EQ(invoker_->orders()[0].purpose, LanePurpose::kCalls);
  EXPECT_EQ(invoker_->orders()[0].function, "spaces/shop/functions/bill");
}

TEST_F(InvocationsTest, LongNamesAreCutAndToldApart) {
  const std::string a(63, 'a');
  const std::string b = a.substr(0, 62) + "b";
  const std::string id = InvocationLaneId(LanePurpose::kCallbacks, a);
  EXPECT_EQ(id.size(), 63U);
  EXPECT_NE(id, InvocationLaneId(LanePurpose::kCallbacks, b));
}

TEST_F(InvocationsTest, AResultGoesToEachPlaceThatItNames) {
  answer_ = nullptr;
  StartBroker();
  ASSERT_TRUE(Ensure(Retry(3)).ok());
  Publish(1, kInvocationRequested, Requested({}).SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  const InvocationOrder order = invoker_->orders()[0];
  invoker_->FinishWithReply(order, Requested({{"penstockonsuccess", "type:bill.done"},
                                              {"penstockcallback", "http://there/"},
                                              {"penstockstate", "SUCCEEDED"}})
                                       .SerializeAsString());
  const auto done = FindByType("bill.done");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->id, order.key.Id() + "/destination");
  EXPECT_EQ(done->source, "/spaces/shop/functions/bill");
  EXPECT_EQ(Attribute(ParseEvent(done->body), "penstockcallback"), "") << "not for subscribers";
  const auto callback = FindByType(kInvocationCompleted);
  ASSERT_TRUE(callback);
  EXPECT_EQ(Attribute(ParseEvent(callback->body), "penstockcallback"), "http://there/");
  EXPECT_EQ(Attribute(ParseEvent(callback->body), "penstockstate"), "SUCCEEDED");
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 1; }));
}

TEST_F(InvocationsTest, AFailureGoesWhereTheInvocationSaysOrIsADeadLetter) {
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kPermanent; };
  StartBroker();
  ASSERT_TRUE(Ensure(Retry(3)).ok());
  Publish(
      1, kInvocationRequested,
      Requested({{"penstockonfailure", "function:mourn"}, {"penstockcallback", "http://there/"}})
          .SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return runner_->stats().sunk == 1; }));
  const auto callback = FindByType(kInvocationCompleted);
  ASSERT_TRUE(callback);
  EXPECT_EQ(Attribute(ParseEvent(callback->body), "penstockstate"), "FAILED");
  EXPECT_EQ(Attribute(ParseEvent(callback->body), "deadlettererror"), "Boom: it broke");
  const auto scanned =
      log_->Scan({.filter = {.types = {kInvocationRequested}, .control_records = false}});
  ASSERT_TRUE(scanned.ok());
  const CloudEvent next = ParseEvent(scanned->records.back().body);
  EXPECT_EQ(Attribute(next, "subject"), "mourn");
  EXPECT_EQ(Attribute(next, "penstockonfailure"), "") << "it is called without destinations";
  EXPECT_EQ(next.text_data(), "hello");
  EXPECT_TRUE(DeadLetters().empty());

  Publish(1, kInvocationRequested, Requested({}).SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  EXPECT_EQ(DeadLetters()[0].subscription, "penstock.async.bill");
}

TEST_F(InvocationsTest, WhatIsCancelledWhileItWaitsStaysSoOverARestart) {
  answer_ = nullptr;
  StartBroker();
  ASSERT_TRUE(Ensure(Retry(3)).ok());
  const std::string uid = catalog_->Get("shop", "penstock.async.bill")->uid;
  ASSERT_TRUE(
      WaitFor([&](auto done) { catalog_->Pause("shop", "penstock.async.bill", done); }).ok());
  const Sequence sequence = Publish(1, kInvocationRequested, Requested({}).SerializeAsString());
  // Delivery may yet have to read of the subscription, or to come to the event.
  CancelVerdict verdict = CancelVerdict::kUnknown;
  ASSERT_TRUE(Eventually([&] {
    std::promise<CancelVerdict> answer;
    runner_->Cancel({uid, sequence}, [&](CancelVerdict got) { answer.set_value(got); });
    verdict = answer.get_future().get();
    return verdict != CancelVerdict::kUnknown && verdict != CancelVerdict::kNotReached;
  }));
  EXPECT_EQ(verdict, CancelVerdict::kCancelled);
  lanes_.reset();
  StopBroker(0ms);
  StartBroker();
  ASSERT_TRUE(
      WaitFor([&](auto done) { catalog_->Resume("shop", "penstock.async.bill", done); }).ok());
  Publish(1, kInvocationRequested, Requested({}).SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  EXPECT_GT(invoker_->orders()[0].key.sequence, sequence) << "only the later one runs";
}

}  // namespace
}  // namespace penstock::broker
