#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

constexpr char kPulled[] = "spaces/default/subscriptions/pulled";

// A Subscribe stream whose messages the test reads one by one.
class Consumer {
 public:
  Consumer(pb::EventBrokerService::Stub& broker, const std::string& subscription, int credit)
      : context_(NewContext()), stream_(broker.Subscribe(context_.get())) {
    pb::SubscribeRequest first;
    first.set_subscription(subscription);
    first.set_credit(credit);
    Say(first);
  }
  ~Consumer() { Leave(); }

  bool Say(const pb::SubscribeRequest& request) { return stream_->Write(request); }
  bool Acknowledge(const std::string& id, int credit = 0) {
    pb::SubscribeRequest request;
    request.add_acks(id);
    request.set_credit(credit);
    return Say(request);
  }
  // The next event; nothing at the end of the stream.
  std::optional<pb::ReceivedEvent> Next() {
    while (waiting_.empty()) {
      pb::SubscribeResponse message;
      if (!stream_->Read(&message)) return std::nullopt;
      waiting_.insert(waiting_.end(), message.events().begin(), message.events().end());
    }
    pb::ReceivedEvent event = waiting_.front();
    waiting_.erase(waiting_.begin());
    return event;
  }
  // As a connection that breaks.
  void Leave() {
    if (stream_ == nullptr) return;
    context_->TryCancel();
    stream_->Finish();
    stream_.reset();
  }
  // How the stream ended.
  absl::Status End() {
    pb::SubscribeResponse rest;
    while (stream_->Read(&rest)) {
    }
    const absl::Status status = rpc::FromGrpcStatus(stream_->Finish());
    stream_.reset();
    return status;
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::SubscribeRequest, pb::SubscribeResponse>> stream_;
  std::vector<pb::ReceivedEvent> waiting_;
};

class PullContractTest : public EventBrokerTest {
 protected:
  void CreatePulled(int ack_timeout_seconds = 30) {
    pb::Subscription wanted;
    wanted.set_event_type("order.paid");
    wanted.mutable_pull()->mutable_ack_timeout()->set_seconds(ack_timeout_seconds);
    wanted.mutable_retry()->mutable_initial_delay()->set_nanos(1'000'000);
    const auto created = Create("pulled", wanted);
    ASSERT_TRUE(created.ok()) << created.status();
  }
  absl::StatusOr<pb::PullEventsResponse> Pull(int max_events = 0, int wait_seconds = 5) {
    pb::PullEventsRequest request;
    request.set_subscription(kPulled);
    request.set_max_events(max_events);
    request.mutable_wait()->set_seconds(wait_seconds);
    return Call(*broker_, &pb::EventBrokerService::Stub::PullEvents, request);
  }
  // The ids that were not out.
  std::vector<std::string> Acknowledge(const std::vector<std::string>& ids) {
    pb::AcknowledgeDeliveriesRequest request;
    request.set_subscription(kPulled);
    for (const std::string& id : ids) request.add_delivery_ids(id);
    const auto answer =
        Call(*broker_, &pb::EventBrokerService::Stub::AcknowledgeDeliveries, request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return {"failed"};
    return {answer->unknown_delivery_ids().begin(), answer->unknown_delivery_ids().end()};
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, PullContractTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(PullContractTest, AConsumerGetsEventsInOrderUpToItsCredit) {
  CreatePulled();
  Consumer consumer(*broker_, kPulled, 3);
  for (int i = 1; i <= 5; ++i) MustPublish("e" + std::to_string(i));
  std::vector<std::string> deliveries;
  for (int i = 1; i <= 3; ++i) {
    const auto event = consumer.Next();
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->event().event().id(), "e" + std::to_string(i));
    EXPECT_EQ(event->attempt(), 1);
    EXPECT_EQ(event->event().name().rfind("spaces/default/events/", 0), 0u);
    deliveries.push_back(event->delivery_id());
  }
  ASSERT_TRUE(consumer.Acknowledge(deliveries[0], 2));
  ASSERT_TRUE(consumer.Acknowledge(deliveries[1]));
  ASSERT_TRUE(consumer.Acknowledge(deliveries[2]));
  EXPECT_EQ(consumer.Next()->event().event().id(), "e4");
  EXPECT_EQ(consumer.Next()->event().event().id(), "e5");
}

TEST_P(PullContractTest, ALostConsumersEventsGoToAnother) {
  CreatePulled();
  Consumer first(*broker_, kPulled, 2);
  MustPublish("e1");
  MustPublish("e2");
  const auto one = first.Next();
  const auto two = first.Next();
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(first.Acknowledge(one->delivery_id()));
  Consumer second(*broker_, kPulled, 5);
  // The acknowledgement has been read once the subscription has one event less in its hands.
  ASSERT_TRUE(Eventually([&] { return StatusOf("pulled")->in_flight() == 1; }));
  first.Leave();
  const auto again = second.Next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event().event().id(), "e2");
  EXPECT_EQ(again->delivery_id(), two->delivery_id());
  EXPECT_EQ(again->attempt(), 2);
}

TEST_P(PullContractTest, WhatIsNotAcknowledgedInTimeComesAgain) {
  CreatePulled(/*ack_timeout_seconds=*/1);
  Consumer consumer(*broker_, kPulled, 10);
  MustPublish("e1");
  const auto first = consumer.Next();
  const auto second = consumer.Next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->delivery_id(), first->delivery_id());
  EXPECT_EQ(second->attempt(), 2);
  ASSERT_TRUE(consumer.Acknowledge(second->delivery_id()));
  EXPECT_TRUE(Eventually([&] { return StatusOf("pulled")->in_flight() == 0; }));
}

TEST_P(PullContractTest, ARejectedEventComesAgainWithItsReason) {
  CreatePulled();
  Consumer consumer(*broker_, kPulled, 10);
  MustPublish("e1");
  const auto first = consumer.Next();
  ASSERT_TRUE(first.has_value());
  pb::SubscribeRequest request;
  request.add_nacks()->set_delivery_id(first->delivery_id());
  ASSERT_TRUE(consumer.Say(request));
  EXPECT_EQ(consumer.Next()->attempt(), 2);
}

TEST_P(PullContractTest, PullGivesWhatIsThereAndAckEndsIt) {
  CreatePulled();
  const auto nothing = Pull(10, 0);
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_EQ(nothing->events_size(), 0);
  MustPublish("e1");
  MustPublish("e2");
  std::map<std::string, std::string> seen;  // Delivery by event.
  while (seen.size() < 2) {
    const auto pulled = Pull(10);
    ASSERT_TRUE(pulled.ok()) << pulled.status();
    ASSERT_GT(pulled->events_size(), 0);
    for (const auto& event : pulled->events()) {
      seen[event.event().event().id()] = event.delivery_id();
    }
  }
  EXPECT_TRUE(Acknowledge({seen["e1"], seen["e2"]}).empty());
  EXPECT_EQ(Acknowledge({seen["e1"]}), std::vector<std::string>{seen["e1"]});
  EXPECT_EQ(Pull(10, 0)->events_size(), 0);
}

TEST_P(PullContractTest, APullWaitsForTheFirstEvent) {
  CreatePulled();
  std::thread publisher([this] {
    Eventually(
        [this] { return metrics_.Serialize().find("pull_consumers 1") != std::string::npos; });
    MustPublish("late");
  });
  const auto pulled = Pull(10, 9);
  publisher.join();
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  ASSERT_EQ(pulled->events_size(), 1);
  EXPECT_EQ(pulled->events(0).event().event().id(), "late");
}

TEST_P(PullContractTest, ADeletedSubscriptionEndsItsStreams) {
  CreatePulled();
  Consumer consumer(*broker_, kPulled, 1);
  MustPublish("e1");
  ASSERT_TRUE(consumer.Next().has_value());
  ASSERT_TRUE(Delete("pulled", /*force=*/true).ok());
  EXPECT_TRUE(absl::IsNotFound(consumer.End()));
}

TEST_P(PullContractTest, AStopEndsStreamsAndLosesNothing) {
  CreatePulled();
  auto consumer = std::make_unique<Consumer>(*broker_, kPulled, 5);
  MustPublish("e1");
  ASSERT_TRUE(consumer->Next().has_value());
  std::thread stop([this] { EXPECT_TRUE(app_->Stop(std::chrono::seconds(5)).ok()); });
  EXPECT_TRUE(absl::IsUnavailable(consumer->End()));
  stop.join();
  consumer.reset();
  Restart();
  Consumer next(*broker_, kPulled, 5);
  const auto again = next.Next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event().event().id(), "e1");
}

TEST_P(PullContractTest, WrongRequestsAreRefused) {
  CreatePulled();
  ASSERT_TRUE(Create("called", Wanted()).ok());
  EXPECT_TRUE(absl::IsNotFound(Consumer(*broker_, NameOf("nobody"), 1).End()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Consumer(*broker_, NameOf("called"), 1).End()));
  EXPECT_EQ(FieldsOf(Consumer(*broker_, "", 1).End()), "subscription");
  EXPECT_EQ(FieldsOf(Consumer(*broker_, kPulled, -1).End()), "credit");
  EXPECT_TRUE(absl::IsResourceExhausted(Consumer(*broker_, kPulled, 1025).End()));
  EXPECT_EQ(FieldsOf(Pull(257).status()), "maxEvents");
  EXPECT_EQ(FieldsOf(Pull(1, 26).status()), "wait");
  pb::AcknowledgeDeliveriesRequest nothing;
  nothing.set_subscription(kPulled);
  EXPECT_EQ(
      FieldsOf(
          Call(*broker_, &pb::EventBrokerService::Stub::AcknowledgeDeliveries, nothing).status()),
      "deliveryIds");
}

}  // namespace
}  // namespace penstock::broker
