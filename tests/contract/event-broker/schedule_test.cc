#include <set>

#include "libs/base/time.h"
#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

class ScheduleContractTest : public EventBrokerTest {
 protected:
  static CloudEvent Later(const std::string& id, const std::string& after) {
    CloudEvent event = Event(id);
    (*event.mutable_attributes())["deliverafter"].set_ce_string(after);
    return event;
  }
  std::vector<pb::ScheduledEvent> Scheduled(const std::string& event_id = "") {
    pb::ListScheduledEventsRequest request;
    request.set_parent("spaces/default");
    request.set_event_id(event_id);
    const auto page = Call(*broker_, &pb::EventBrokerService::Stub::ListScheduledEvents, request);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return {};
    return {page->scheduled_events().begin(), page->scheduled_events().end()};
  }
  absl::StatusOr<pb::StoredEvent> Stored(const std::string& id) {
    pb::GetEventRequest request;
    request.set_id(id);
    return Call(*broker_, &pb::EventBrokerService::Stub::GetEvent, request);
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, ScheduleContractTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(ScheduleContractTest, AnEventIsPublishedWhenItIsDue) {
  const auto receipt = Publish(Later("a", "500ms"));
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->status(), pb::PublishReceipt::SCHEDULED);
  EXPECT_EQ(receipt->sequence(), 0);
  EXPECT_TRUE(receipt->has_due_time());
  EXPECT_TRUE(absl::IsNotFound(Stored("a").status()));
  EXPECT_EQ(Scheduled().size(), 1u);
  ASSERT_TRUE(Eventually([&] { return Stored("a").ok(); }));
  const auto stored = Stored("a");
  EXPECT_FALSE(stored->event().attributes().contains("deliverafter"));
  EXPECT_TRUE(stored->event().attributes().contains("deliverat"));
  EXPECT_GE(stored->append_time().seconds(), receipt->due_time().seconds());
  EXPECT_TRUE(Eventually([&] { return Scheduled().empty(); }));
}

TEST_P(ScheduleContractTest, ItSurvivesARestart) {
  ASSERT_TRUE(Publish(Later("a", "300ms")).ok());
  ASSERT_TRUE(Publish(Later("far", "1h")).ok());
  Restart();
  EXPECT_TRUE(Eventually([&] { return Stored("a").ok(); }));
  EXPECT_EQ(Scheduled("far").size(), 1u);
}

TEST_P(ScheduleContractTest, IdsAreKnownAgain) {
  const auto first = Publish(Later("a", "1h"));
  const auto again = Publish(Later("a", "2h"));
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(again->status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(again->due_time().seconds(), first->due_time().seconds());
  const std::int64_t sequence = MustPublish("stored");
  const auto late = Publish(Later("stored", "1h"));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(late->sequence(), sequence);
}

TEST_P(ScheduleContractTest, ItCanBeReadAndTakenBack) {
  ASSERT_TRUE(Publish(Later("b", "2h")).ok());
  ASSERT_TRUE(Publish(Later("a", "1h")).ok());
  const auto listed = Scheduled();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].event().id(), "a");  // The next one first.
  pb::GetScheduledEventRequest get;
  get.set_name(listed[0].name());
  const auto found = Call(*broker_, &pb::EventBrokerService::Stub::GetScheduledEvent, get);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->event().id(), "a");
  pb::CancelScheduledEventRequest cancel;
  cancel.set_name(listed[0].name());
  ASSERT_TRUE(Call(*broker_, &pb::EventBrokerService::Stub::CancelScheduledEvent, cancel).ok());
  EXPECT_TRUE(absl::IsNotFound(
      Call(*broker_, &pb::EventBrokerService::Stub::CancelScheduledEvent, cancel).status()));
  EXPECT_TRUE(absl::IsNotFound(
      Call(*broker_, &pb::EventBrokerService::Stub::GetScheduledEvent, get).status()));
  EXPECT_EQ(Scheduled().size(), 1u);
  EXPECT_EQ(Publish(Later("a", "1h"))->status(), pb::PublishReceipt::SCHEDULED);
}

TEST_P(ScheduleContractTest, ABatchAndAStreamTellThemApart) {
  pb::PublishBatchRequest request;
  *request.add_events() = Event("now");
  *request.add_events() = Later("later", "1h");
  *request.add_events() = Later("bad", "soon");
  const auto batch = Call(*broker_, &pb::EventBrokerService::Stub::PublishBatch, request);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->receipts(0).status(), pb::PublishReceipt::ACCEPTED);
  EXPECT_EQ(batch->receipts(1).status(), pb::PublishReceipt::SCHEDULED);
  EXPECT_EQ(batch->receipts(1).id(), "later");
  EXPECT_EQ(batch->receipts(2).error_code(), 3);

  const auto context = NewContext();
  const auto stream = broker_->PublishStream(context.get());
  pb::PublishStreamRequest message;
  for (int i = 0; i < 4; ++i) {
    auto* entry = message.add_entries();
    entry->set_correlation_id(i + 1);
    const std::string id = "s" + std::to_string(i);
    *entry->mutable_event() = i % 2 == 0 ? Event(id) : Later(id, "1h");
  }
  ASSERT_TRUE(stream->Write(message));
  stream->WritesDone();
  std::set<std::int64_t> accepted;
  std::set<std::int64_t> scheduled;
  pb::PublishStreamResponse response;
  while (stream->Read(&response)) {
    for (const auto& receipt : response.receipts()) {
      EXPECT_EQ(receipt.id(), "s" + std::to_string(receipt.correlation_id() - 1));
      (receipt.status() == pb::PublishReceipt::SCHEDULED ? scheduled : accepted)
          .insert(receipt.correlation_id());
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(accepted, (std::set<std::int64_t>{1, 3}));
  EXPECT_EQ(scheduled, (std::set<std::int64_t>{2, 4}));
}

TEST_P(ScheduleContractTest, RefusalsNameTheAttribute) {
  EXPECT_EQ(FieldsOf(Publish(Later("a", "soon")).status()), "deliverafter");
  EXPECT_EQ(FieldsOf(Publish(Later("a", "8761h")).status()), "deliverafter");
  CloudEvent event = Later("a", "1h");
  (*event.mutable_attributes())["deliverat"].set_ce_string("2030-01-01T00:00:00Z");
  EXPECT_EQ(FieldsOf(Publish(event).status()), "deliverafter");
  event = Later("a", "1h");
  (*event.mutable_attributes())["expirytime"].set_ce_string("2020-01-01T00:00:00Z");
  EXPECT_EQ(FieldsOf(Publish(event).status()), "expirytime");
  EXPECT_TRUE(Scheduled().empty());
  pb::ListScheduledEventsRequest list;
  EXPECT_EQ(
      FieldsOf(Call(*broker_, &pb::EventBrokerService::Stub::ListScheduledEvents, list).status()),
      "parent");
}

}  // namespace
}  // namespace penstock::broker
