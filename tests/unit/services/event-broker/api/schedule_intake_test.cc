#include "services/event-broker/api/schedule_intake.h"

#include <gtest/gtest.h>

#include <future>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "tests/support/event-broker/memory_state_store.h"
#include "tests/unit/services/event-broker/schedule/fake_log.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;
namespace pb = penstock::events::v1;

class ScheduleIntakeTest : public testing::Test {
 protected:
  CheckedEvent Event(const std::string& id, Microseconds in, const std::string& data = "data") {
    CloudEvent event;
    event.set_id(id);
    event.set_source("/shop");
    event.set_spec_version("1.0");
    event.set_type("order.due");
    event.set_text_data(data);
    (*event.mutable_attributes())["deliverat"].set_ce_string(FormatRfc3339(clock_.Wall() + in));
    auto checked = CheckEvent({}, "", clock_.Wall(), event);
    EXPECT_TRUE(checked.ok()) << checked.status();
    return *std::move(checked);
  }
  ScheduleIntake::Receipts Take(std::vector<CheckedEvent> events) {
    std::promise<ScheduleIntake::Receipts> receipts;
    intake_.Take(std::move(events),
                 [&](ScheduleIntake::Receipts given) { receipts.set_value(std::move(given)); });
    return receipts.get_future().get();
  }
  pb::PublishReceipt TakeOne(CheckedEvent event) {
    std::vector<CheckedEvent> events;
    events.push_back(std::move(event));
    return Take(std::move(events)).at(0);
  }
  void Publish(CheckedEvent event) {
    std::vector<AppendRequest> requests;
    requests.push_back(std::move(event.append));
    ASSERT_TRUE(log_.Append(std::move(requests), [](const auto&) {}).ok());
  }

  using CloudEvent = io::cloudevents::v1::CloudEvent;

  FakeClock clock_;
  MemoryStateStore store_{StateOptions{.clock = &clock_}};
  FakeLog log_{clock_};
  WorkerPool readers_{{.name = "reader", .threads = 1}};
  ScheduleIntake intake_{log_, store_, readers_, clock_, 5min};
};

TEST_F(ScheduleIntakeTest, ANewEventIsScheduled) {
  const auto receipt = TakeOne(Event("a", 30s));
  EXPECT_EQ(receipt.id(), "a");
  EXPECT_EQ(receipt.status(), pb::PublishReceipt::SCHEDULED);
  EXPECT_EQ(receipt.durability(), pb::PublishReceipt::FSYNCED);
  EXPECT_EQ(receipt.sequence(), 0);
  EXPECT_EQ(receipt.due_time().seconds(), ToUnixMicros(clock_.Wall() + 30s) / 1'000'000);
}

TEST_F(ScheduleIntakeTest, TheSameEventIsScheduledOnce) {
  const auto first = TakeOne(Event("a", 30s));
  const auto again = TakeOne(Event("a", 60s));
  EXPECT_EQ(again.status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(again.due_time().seconds(), first.due_time().seconds());
  EXPECT_FALSE(again.content_differs());
  EXPECT_TRUE(TakeOne(Event("a", 60s, "other")).content_differs());
  std::vector<CheckedEvent> twice;
  twice.push_back(Event("b", 1s));
  twice.push_back(Event("b", 2s));
  const auto receipts = Take(std::move(twice));
  EXPECT_EQ(receipts[0].status(), pb::PublishReceipt::SCHEDULED);
  EXPECT_EQ(receipts[1].status(), pb::PublishReceipt::DUPLICATE);
}

TEST_F(ScheduleIntakeTest, WhatTheLogHasIsADuplicateOfThat) {
  Publish(Event("before", 1s));
  Publish(Event("a", 1s));
  auto receipt = TakeOne(Event("a", 30s, "other"));
  EXPECT_EQ(receipt.status(), pb::PublishReceipt::DUPLICATE);
  EXPECT_EQ(receipt.sequence(), 2);
  EXPECT_TRUE(receipt.content_differs());
  EXPECT_FALSE(receipt.has_due_time());
  clock_.Advance(5min + 1us);  // The id is free again.
  EXPECT_EQ(TakeOne(Event("a", 30s)).status(), pb::PublishReceipt::SCHEDULED);
}

TEST_F(ScheduleIntakeTest, WhatIsTakenBackCanBeScheduledAgain) {
  TakeOne(Event("a", 30s));
  store_.CancelScheduled("default", ScheduleKey("/shop", "a"),
                         [](const auto& taken) { EXPECT_TRUE(taken.ok()) << taken.status(); });
  EXPECT_EQ(TakeOne(Event("a", 60s)).status(), pb::PublishReceipt::SCHEDULED);
}

TEST_F(ScheduleIntakeTest, AStoreThatFailsRefusesEach) {
  store_.FailWrites(WithReason(absl::UnavailableError("no space"), "DISK_FULL"));
  std::vector<CheckedEvent> events;
  events.push_back(Event("a", 1s));
  events.push_back(Event("b", 1s));
  for (const auto& receipt : Take(std::move(events))) {
    EXPECT_EQ(receipt.error_code(), static_cast<int>(absl::StatusCode::kUnavailable));
    EXPECT_EQ(receipt.error_reason(), "DISK_FULL");
  }
}

TEST_F(ScheduleIntakeTest, ReadersThatAreGoneRefuse) {
  readers_.Stop();
  const auto receipt = TakeOne(Event("a", 1s));
  EXPECT_EQ(receipt.error_code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(receipt.id(), "a");
}

TEST(ScheduleKeyTest, TellsSourcesAndIdsApart) {
  EXPECT_EQ(ScheduleKey("/shop", "a"), ScheduleKey("/shop", "a"));
  EXPECT_NE(ScheduleKey("a", "bc"), ScheduleKey("ab", "c"));
  EXPECT_EQ(ScheduleKey("/shop", "a").size(), 32u);
}

}  // namespace
}  // namespace penstock::broker
