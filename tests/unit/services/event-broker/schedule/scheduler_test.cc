#include "services/event-broker/schedule/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "libs/base/fake_clock.h"
#include "tests/support/event-broker/memory_state_store.h"
#include "tests/unit/services/event-broker/schedule/fake_log.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() : log_(clock_) { Restart(); }

  void Restart(Scheduler::Options options = {.own_thread = false}) {
    scheduler_.reset();
    scheduler_.emplace(store_, log_, clock_, registry_, options);
    scheduler_->Start();
  }
  ScheduledEvent Event(const std::string& id, Microseconds in,
                       const std::string& space = "default") const {
    ScheduledEvent event;
    event.key = "key-" + id;
    event.space = space;
    event.type = "order.due";
    event.source = "/shop";
    event.id = id;
    event.ordering_key = "k";
    event.body = "body of " + id;
    event.content_hash = 7;
    event.due = clock_.Wall() + in;
    event.create_time = clock_.Wall();
    return event;
  }
  std::vector<bool> Schedule(std::vector<ScheduledEvent> events) {
    absl::StatusOr<std::vector<bool>> fresh;
    scheduler_->Schedule(std::move(events), [&](auto given) { fresh = std::move(given); });
    EXPECT_TRUE(fresh.ok()) << fresh.status();
    return fresh.value_or(std::vector<bool>());
  }
  std::uint64_t Count() {
    std::uint64_t count = 0;
    store_.CountScheduled([&](absl::StatusOr<std::uint64_t> given) { count = *given; });
    return count;
  }
  double Waiting() { return ScheduleMetrics(registry_).waiting.Value(); }

  FakeClock clock_;
  metrics::Registry registry_;
  MemoryStateStore store_{StateOptions{.clock = &clock_}};
  FakeLog log_;
  std::optional<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, AnEventIsPublishedWhenItIsDue) {
  ASSERT_THAT(Schedule({Event("a", 10s)}), ElementsAre(true));
  EXPECT_EQ(Waiting(), 1);
  clock_.Advance(10s - 1us);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  EXPECT_THAT(log_.ids(), IsEmpty());
  clock_.Advance(1us);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  ASSERT_THAT(log_.ids(), ElementsAre("a"));
  const AppendRequest stored = log_.last().request;
  EXPECT_EQ(stored.space, "default");
  EXPECT_EQ(stored.type, "order.due");
  EXPECT_EQ(stored.source, "/shop");
  EXPECT_EQ(stored.ordering_key, "k");
  EXPECT_EQ(stored.content_hash, 7u);
  EXPECT_EQ(stored.body.view(), "body of a");
  EXPECT_EQ(Count(), 0u);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(SchedulerTest, TheyAreInTheOrderOfTheirTimesAndTogether) {
  Schedule({Event("late", 3s), Event("first", 1s), Event("second", 2s), Event("never", 1h)});
  clock_.Advance(3s);
  EXPECT_EQ(scheduler_->PublishDue(), 3u);
  EXPECT_THAT(log_.ids(), ElementsAre("first", "second", "late"));
  EXPECT_THAT(log_.batches(), ElementsAre(3));
  EXPECT_EQ(Count(), 1u);
}

TEST_F(SchedulerTest, BatchesAreBoundedByEventsAndBytes) {
  Restart({.own_thread = false, .batch_events_max = 4, .batch_bytes_max = 20});
  for (int i = 0; i < 6; ++i) Schedule({Event(std::to_string(i), 1s)});  // 9 bytes each.
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 4u);
  EXPECT_THAT(log_.batches(), ElementsAre(2, 2));
  EXPECT_EQ(scheduler_->PublishDue(), 2u);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
}

TEST_F(SchedulerTest, OneThatIsSoonerThanTheNextIsNotMissed) {
  Schedule({Event("later", 1h)});
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  Schedule({Event("sooner", 1s)});
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("sooner"));
}

TEST_F(SchedulerTest, AStepOfTheWallClockIsSeen) {
  Schedule({Event("a", 1h), Event("b", 3h)});
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  clock_.JumpWall(-24h);
  clock_.Advance(1h);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);  // It is earlier than ever.
  clock_.JumpWall(25h);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("a"));
}

TEST_F(SchedulerTest, ALogThatRefusesIsAskedAgainLaterAndLater) {
  Schedule({Event("a", 1s)});
  log_.Refuse(absl::ResourceExhaustedError("the queue is full"));
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  EXPECT_EQ(Count(), 1u);
  log_.Refuse(absl::OkStatus());
  clock_.Advance(99ms);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);  // Not yet.
  log_.Refuse(absl::UnavailableError("the disk is full"));
  clock_.Advance(1ms);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  log_.Refuse(absl::OkStatus());
  clock_.Advance(199ms);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  clock_.Advance(1ms);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_EQ(ScheduleMetrics(registry_).failures.Value(), 2u);
}

TEST_F(SchedulerTest, OneThatFailsDoesNotHoldUpTheOthers) {
  Schedule({Event("a", 1s), Event("bad", 1s), Event("c", 1s)});
  log_.Fail("bad");
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 2u);
  EXPECT_THAT(log_.ids(), ElementsAre("a", "c"));
  log_.Fail("");
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("a", "c", "bad"));
}

TEST_F(SchedulerTest, ASpaceThatTakesNoEventsDoesNotHoldUpTheOthers) {
  Restart({.own_thread = false, .batch_events_max = 2});
  for (const char* id : {"1", "2", "3"}) Schedule({Event(id, 1s, "closed")});
  for (const char* id : {"a", "b", "c"}) Schedule({Event(id, 2s)});
  log_.Close("closed");
  clock_.Advance(2s);
  EXPECT_EQ(scheduler_->PublishDue(), 3u);
  EXPECT_THAT(log_.ids(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(Count(), 3u);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);  // It is asked again later.
  log_.Close("");
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 2u);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("a", "b", "c", "1", "2", "3"));
}

TEST_F(SchedulerTest, WhatIsBeingPublishedCannotBeTakenBack) {
  Schedule({Event("a", 1s)});
  absl::StatusOr<ScheduledEvent> taken;
  log_.OnAppend([&] {
    scheduler_->CancelScheduled("default", "key-a", [&](auto given) { taken = std::move(given); });
  });
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("a"));
  EXPECT_TRUE(absl::IsNotFound(taken.status())) << taken.status();
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(SchedulerTest, WhatWasAppendedButNotDeletedIsNotPublishedTwice) {
  Schedule({Event("a", 1s)});
  clock_.Advance(1s);
  store_.FailWrites(absl::UnavailableError("no space"));
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  EXPECT_THAT(log_.ids(), ElementsAre("a"));
  EXPECT_EQ(Count(), 1u);
  store_.FailWrites(absl::OkStatus());
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 1u);
  EXPECT_THAT(log_.ids(), ElementsAre("a"));
  EXPECT_EQ(Count(), 0u);
}

TEST_F(SchedulerTest, NorAfterACrashAndALongDowntime) {
  Schedule({Event("a", 1s), Event("b", 2s)});
  clock_.Advance(1s);
  store_.FailWrites(absl::UnavailableError("killed"));
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  store_.FailWrites(absl::OkStatus());
  clock_.Advance(48h);
  log_.ForgetIds();
  Restart();
  EXPECT_EQ(Waiting(), 2);
  EXPECT_EQ(scheduler_->PublishDue(), 2u);
  EXPECT_THAT(log_.ids(), ElementsAre("a", "b"));
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(SchedulerTest, WhatIsTakenBackIsNotPublished) {
  Schedule({Event("a", 1s)});
  absl::StatusOr<ScheduledEvent> taken;
  scheduler_->CancelScheduled("default", "key-a", [&](auto given) { taken = std::move(given); });
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->id, "a");
  EXPECT_EQ(Waiting(), 0);
  clock_.Advance(1s);
  EXPECT_EQ(scheduler_->PublishDue(), 0u);
  EXPECT_THAT(log_.ids(), IsEmpty());
  scheduler_->CancelScheduled("default", "key-a", [&](auto given) { taken = std::move(given); });
  EXPECT_TRUE(absl::IsNotFound(taken.status()));
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(SchedulerTest, LatenessIsFromTheDueTimeOn) {
  Schedule({Event("a", 1s)});
  clock_.Advance(3s);
  scheduler_->PublishDue();
  const ScheduleMetrics metrics(registry_);
  EXPECT_EQ(metrics.lateness.Count(), 1u);
  EXPECT_DOUBLE_EQ(metrics.lateness.Sum(), 2.0);
  EXPECT_EQ(metrics.published.Value(), 1u);
}

TEST_F(SchedulerTest, ItsThreadPublishesByItself) {
  scheduler_.emplace(store_, log_, SystemClock(), registry_);
  scheduler_->Start();
  ScheduledEvent event = Event("a", 0s);
  event.due = SystemClock().Wall() + 50ms;
  Schedule({event});
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (log_.ids().empty() && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::yield();
  }
  EXPECT_THAT(log_.ids(), ElementsAre("a"));
  EXPECT_GE(SystemClock().Wall(), event.due);
  scheduler_->Stop();
}

}  // namespace
}  // namespace penstock::broker
