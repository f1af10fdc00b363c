#include <set>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

TEST_P(EventBrokerTest, PublishAnswersWithAReceipt) {
  const auto receipt = Publish(Event("a1"));
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->id(), "a1");
  EXPECT_EQ(receipt->sequence(), 1);
  EXPECT_EQ(receipt->status(), pb::PublishReceipt::ACCEPTED);
  EXPECT_EQ(receipt->durability(), pb::PublishReceipt::FSYNCED);
  const auto generated = Publish(Event(""));
  ASSERT_TRUE(generated.ok()) << generated.status();
  EXPECT_EQ(generated->id().size(), 36u);
}

TEST_P(EventBrokerTest, TheSameEventIsStoredOnce) {
  ASSERT_TRUE(Publish(Event("a1")).ok());
  const auto again = Publish(Event("a1"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(again->sequence(), 1);
  EXPECT_FALSE(again->content_differs());
  const auto differs = Publish(Event("a1", "order.paid", "other data"));
  EXPECT_EQ(differs->status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_TRUE(differs->content_differs());
  CloudEvent elsewhere = Event("a1");
  elsewhere.set_source("/other");
  EXPECT_EQ(Publish(elsewhere)->status(), pb::PublishReceipt::ACCEPTED);
  EXPECT_EQ(Publish(Event("a1"), "other")->status(), pb::PublishReceipt::ACCEPTED);
}

TEST_P(EventBrokerTest, RefusalsNameTheAttribute) {
  EXPECT_EQ(
      FieldsOf(
          Call(*broker_, &pb::EventBrokerService::Stub::Publish, pb::PublishRequest()).status()),
      "event");
  CloudEvent event = Event("a1");
  event.clear_source();
  EXPECT_EQ(FieldsOf(Publish(event).status()), "source");
  EXPECT_EQ(FieldsOf(Publish(Event("a1", "")).status()), "type");
  EXPECT_EQ(FieldsOf(Publish(Event("a1", "penstock.forged")).status()), "type");
  EXPECT_EQ(FieldsOf(Publish(Event("a1"), "a space").status()), "space");
  event = Event("a1", "order.paid", std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(FieldsOf(Publish(event).status()), "data");
  event = Event("a1");
  (*event.mutable_attributes())["deliverat"].set_ce_string("2030-01-01T00:00:00Z");
  EXPECT_EQ(FieldsOf(Publish(event).status()), "deliverat");
  event = Event("a1");
  (*event.mutable_attributes())["Bad-Name"].set_ce_string("x");
  EXPECT_FALSE(FieldsOf(Publish(event).status()).empty());
  EXPECT_EQ(Publish(Event("a1"))->sequence(), 1);  // Nothing of the above was stored.
}

TEST_P(EventBrokerTest, EachEventOfABatchStandsAlone) {
  pb::PublishBatchRequest request;
  *request.add_events() = Event("a1");
  *request.add_events() = Event("a2", "");
  *request.add_events() = Event("a3");
  *request.add_events() = Event("a1");
  const auto response = Call(*broker_, &pb::EventBrokerService::Stub::PublishBatch, request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->receipts_size(), 4);
  EXPECT_EQ(response->receipts(0).sequence(), 1);
  EXPECT_EQ(response->receipts(1).error_code(), 3);
  EXPECT_NE(response->receipts(1).error_message().find("type"), std::string::npos);
  EXPECT_EQ(response->receipts(1).id(), "a2");
  EXPECT_EQ(response->receipts(2).sequence(), 2);
  EXPECT_EQ(response->receipts(3).status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(response->receipts(3).sequence(), 1);
  for (int i = 0; i < 300; ++i) *request.add_events() = Event("x");
  EXPECT_EQ(FieldsOf(Call(*broker_, &pb::EventBrokerService::Stub::PublishBatch, request).status()),
            "events");
}

TEST_P(EventBrokerTest, AStreamGivesEveryEntryItsReceipt) {
  const auto context = NewContext();
  const auto stream = broker_->PublishStream(context.get());
  constexpr int kMessages = 20;
  constexpr int kEntries = 10;
  for (int i = 0; i < kMessages; ++i) {
    pb::PublishStreamRequest request;
    for (int j = 0; j < kEntries; ++j) {
      auto* entry = request.add_entries();
      entry->set_correlation_id(i * kEntries + j);
      *entry->mutable_event() = Event("e" + std::to_string(i * kEntries + j), j == 3 ? "" : "t");
    }
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  std::set<std::int64_t> accepted;
  std::set<std::int64_t> refused;
  std::int64_t last = 0;
  pb::PublishStreamResponse response;
  while (stream->Read(&response)) {
    for (const auto& receipt : response.receipts()) {
      EXPECT_EQ(receipt.id(), "e" + std::to_string(receipt.correlation_id()));
      if (receipt.error_code() != 0) {
        refused.insert(receipt.correlation_id());
        continue;
      }
      accepted.insert(receipt.correlation_id());
      EXPECT_GT(receipt.sequence(), last);  // In the order of the stream.
      last = receipt.sequence();
    }
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(accepted.size(), 180u);
  EXPECT_EQ(refused.size(), 20u);
  EXPECT_TRUE(refused.contains(13));
}

TEST_P(EventBrokerTest, WhatThisReleaseDoesNotServeSaysSo) {
  const auto types =
      Call(*catalog_, &pb::EventCatalogService::Stub::ListEventTypes, pb::ListEventTypesRequest())
          .status();
  EXPECT_TRUE(absl::IsUnimplemented(types));
  EXPECT_NE(types.message().find("ListEventTypes"), std::string::npos) << types;
  EXPECT_TRUE(
      absl::IsUnimplemented(Call(*catalog_, &pb::EventCatalogService::Stub::CreateCorsPolicy,
                                 pb::CreateCorsPolicyRequest())
                                .status()));
}

}  // namespace
}  // namespace penstock::broker
