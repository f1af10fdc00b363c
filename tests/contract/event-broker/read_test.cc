#include <thread>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

std::vector<std::string> IdsOf(const pb::ReadEventsResponse& page) {
  std::vector<std::string> ids;
  for (const auto& event : page.events()) ids.push_back(event.event().id());
  return ids;
}

using Ids = std::vector<std::string>;

class ReadTest : public EventBrokerTest {
 protected:
  ReadTest() {
    for (int i = 1; i <= 7; ++i) {
      MustPublish("e" + std::to_string(i), i % 2 == 0 ? "order.paid" : "user.created");
    }
  }
  absl::StatusOr<pb::ReadEventsResponse> Read(const pb::ReadEventsRequest& request) {
    return Call(*broker_, &pb::EventBrokerService::Stub::ReadEvents, request);
  }
  Ids ReadAll(pb::ReadEventsRequest request) {
    Ids ids;
    for (int pages = 0; pages < 20; ++pages) {
      const auto page = Read(request);
      if (!page.ok()) return {page.status().ToString()};
      for (const auto& id : IdsOf(*page)) ids.push_back(id);
      if (page->next_page_token().empty()) return ids;
      request.set_page_token(page->next_page_token());
    }
    return {"without end"};
  }
  absl::StatusOr<pb::StoredEvent> GetEvent(const std::string& id, const std::string& source = "",
                                           const std::string& space = "") {
    pb::GetEventRequest request;
    request.set_space(space);
    request.set_id(id);
    request.set_source(source);
    return Call(*broker_, &pb::EventBrokerService::Stub::GetEvent, request);
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, ReadTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(ReadTest, PagesAreCompleteInBothDirections) {
  pb::ReadEventsRequest request;
  for (const int size : {0, 1, 2, 3, 7, 1000}) {
    request.set_page_size(size);
    request.set_newest_first(false);
    EXPECT_EQ(ReadAll(request), (Ids{"e1", "e2", "e3", "e4", "e5", "e6", "e7"})) << size;
    request.set_newest_first(true);
    EXPECT_EQ(ReadAll(request), (Ids{"e7", "e6", "e5", "e4", "e3", "e2", "e1"})) << size;
  }
  request.set_page_size(-1);
  EXPECT_EQ(FieldsOf(Read(request).status()), "pageSize");
}

TEST_P(ReadTest, AStoredEventHasItsNameAndPlace) {
  const auto page = Read({});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->events(1).name(), "spaces/default/events/2");
  EXPECT_EQ(page->events(1).sequence(), 2);
  EXPECT_EQ(page->events(1).event().text_data(), "data");
  EXPECT_GT(page->events(1).append_time().seconds(), 0);
}

TEST_P(ReadTest, FiltersByTypeSourceAndSequence) {
  pb::ReadEventsRequest request;
  request.set_type("order.paid");
  EXPECT_EQ(ReadAll(request), (Ids{"e2", "e4", "e6"}));
  request.set_type("user.*");
  request.set_page_size(1);
  EXPECT_EQ(ReadAll(request), (Ids{"e1", "e3", "e5", "e7"}));
  request.set_from_sequence(3);
  request.set_to_sequence(5);
  EXPECT_EQ(ReadAll(request), (Ids{"e3", "e5"}));
  request.set_newest_first(true);
  EXPECT_EQ(ReadAll(request), (Ids{"e5", "e3"}));
  request.set_source("/nobody");
  EXPECT_EQ(ReadAll(request), Ids{});
  request.set_type("a*b*c*d*e");
  EXPECT_EQ(FieldsOf(Read(request).status()), "type");
}

TEST_P(ReadTest, FiltersByTime) {
  const auto fifth = GetEvent("e5");
  ASSERT_TRUE(fifth.ok());
  pb::ReadEventsRequest request;
  *request.mutable_from_time() = fifth->append_time();
  const Ids from = ReadAll(request);
  EXPECT_EQ(from.back(), "e7");
  EXPECT_NE(std::find(from.begin(), from.end(), "e5"), from.end());
  request.Clear();
  *request.mutable_to_time() = fifth->append_time();
  const Ids before = ReadAll(request);
  EXPECT_EQ(std::find(before.begin(), before.end(), "e5"), before.end());
  request.Clear();
  request.mutable_from_time()->set_seconds(4'000'000'000);
  EXPECT_EQ(ReadAll(request), Ids{});
}

TEST_P(ReadTest, ATokenBelongsToItsList) {
  pb::ReadEventsRequest request;
  request.set_page_size(2);
  request.set_page_token(Read(request)->next_page_token());
  EXPECT_EQ(IdsOf(*Read(request)), (Ids{"e3", "e4"}));
  request.set_type("order.paid");
  EXPECT_EQ(FieldsOf(Read(request).status()), "pageToken");
  request.set_page_token("zz");
  EXPECT_EQ(FieldsOf(Read(request).status()), "pageToken");
}

TEST_P(ReadTest, SpacesDoNotSeeEachOther) {
  ASSERT_TRUE(Publish(Event("hidden"), "other").ok());
  EXPECT_EQ(ReadAll({}).size(), 7u);
  EXPECT_TRUE(absl::IsNotFound(GetEvent("hidden").status()));
  EXPECT_TRUE(absl::IsNotFound(GetEvent("sequence:8").status()));
  EXPECT_TRUE(GetEvent("sequence:8", "", "other").ok());
}

TEST_P(ReadTest, OneEventByIdOrSequence) {
  EXPECT_EQ(GetEvent("e3")->sequence(), 3);
  EXPECT_EQ(GetEvent("sequence:3")->event().id(), "e3");
  EXPECT_TRUE(absl::IsNotFound(GetEvent("none").status()));
  EXPECT_FALSE(GetEvent("sequence:99").ok());
  EXPECT_EQ(FieldsOf(GetEvent("sequence:x").status()), "id");
  EXPECT_EQ(FieldsOf(GetEvent("").status()), "id");
}

TEST_P(ReadTest, AnAmbiguousIdListsTheSources) {
  CloudEvent event = Event("e3");
  event.set_source("/warehouse");
  ASSERT_TRUE(Publish(event).ok());
  const auto ambiguous = GetEvent("e3").status();
  EXPECT_TRUE(absl::IsAborted(ambiguous)) << ambiguous;
  EXPECT_NE(ambiguous.message().find("/warehouse"), std::string::npos);
  EXPECT_NE(ambiguous.message().find("sequence 3"), std::string::npos);
  EXPECT_EQ(GetEvent("e3", "/warehouse")->sequence(), 8);
  EXPECT_EQ(GetEvent("e3", "/shop")->sequence(), 3);
}

TEST_P(ReadTest, TailsFollowTheHead) {
  const auto context = NewContext();
  pb::TailEventsRequest request;
  request.set_from_sequence(5);
  request.set_type("order.*");
  const auto tail = broker_->TailEvents(context.get(), request);
  pb::StoredEvent event;
  ASSERT_TRUE(tail->Read(&event));
  EXPECT_EQ(event.event().id(), "e6");
  MustPublish("e8", "user.created");
  MustPublish("e9", "order.sent");
  ASSERT_TRUE(tail->Read(&event));
  EXPECT_EQ(event.event().id(), "e9");
  context->TryCancel();
  EXPECT_FALSE(tail->Read(&event));
  EXPECT_EQ(tail->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(ReadTest, ATailMissesNothingHoweverMuchThereIs) {
  constexpr int kEvents = 3000;  // More than a stream's queue takes.
  const auto context = NewContext();
  pb::TailEventsRequest request;
  request.set_from_sequence(8);
  const auto tail = broker_->TailEvents(context.get(), request);
  std::thread publisher([this] {
    for (int i = 0; i < kEvents; i += 250) {
      pb::PublishBatchRequest batch;
      for (int j = 0; j < 250; ++j) *batch.add_events() = Event("t" + std::to_string(i + j));
      EXPECT_TRUE(Call(*broker_, &pb::EventBrokerService::Stub::PublishBatch, batch).ok());
    }
  });
  pb::StoredEvent event;
  for (int i = 0; i < kEvents; ++i) {
    if (!tail->Read(&event)) {
      ADD_FAILURE() << "ended after " << i << ": " << tail->Finish().error_message();
      break;
    }
    if (event.event().id() != "t" + std::to_string(i)) {
      ADD_FAILURE() << event.event().id() << " instead of " << i;
      break;
    }
  }
  context->TryCancel();
  publisher.join();
}

TEST_P(ReadTest, ATailOfNonsenseIsRefused) {
  pb::TailEventsRequest request;
  request.set_from_sequence(-1);
  const auto context = NewContext();
  const auto tail = broker_->TailEvents(context.get(), request);
  pb::StoredEvent event;
  EXPECT_FALSE(tail->Read(&event));
  EXPECT_EQ(FieldsOf(rpc::FromGrpcStatus(tail->Finish())), "fromSequence");
}

}  // namespace
}  // namespace penstock::broker
