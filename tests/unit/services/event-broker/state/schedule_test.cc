#include "libs/base/status.h"
#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

using Texts = std::vector<std::string>;

class ScheduleTest : public StateTest {
 protected:
  static WallTime At(int second) {
    return FromUnixMicros(1'700'000'000'000'000 + second * 1'000'000LL);
  }
  static ScheduledEvent Event(const std::string& key, int second,
                              const std::string& space = "shop") {
    ScheduledEvent event;
    event.key = key;
    event.space = space;
    event.type = "order.paid";
    event.source = "/shop";
    event.id = "id-" + key;
    event.ordering_key = "customer 7";
    event.body = std::string("body\0of ", 8) + key;
    event.content_hash = 0xfedcba9876543210;
    event.due = At(second);
    event.create_time = At(0);
    return event;
  }
  std::vector<bool> Schedule(std::vector<ScheduledEvent> events) {
    return *WaitFor<std::vector<bool>>([&](auto done) { store_->Schedule(events, done); });
  }
  EventSchedule::DueEvents Due(int second, std::size_t limit = 10,
                               const std::set<std::string>& spaces_except = {}) {
    return *WaitFor<EventSchedule::DueEvents>([&](auto done) {
      store_->ListDue({At(second), limit, spaces_except}, done);
    });
  }
  absl::Status Remove(std::vector<ScheduledEvent> events) {
    return Wait([&](auto done) { store_->RemoveScheduled(events, done); });
  }
  absl::StatusOr<ScheduledPage> ListPage(ScheduledQuery query) {
    return WaitFor<ScheduledPage>([&](auto done) { store_->ListScheduled(query, done); });
  }
  absl::StatusOr<ScheduledEvent> GetEvent(const std::string& key) {
    return WaitFor<ScheduledEvent>([&](auto done) { store_->GetScheduled("shop", key, done); });
  }
  absl::StatusOr<ScheduledEvent> Cancel(const std::string& key) {
    return WaitFor<ScheduledEvent>([&](auto done) { store_->CancelScheduled("shop", key, done); });
  }
  static Texts KeysOf(const std::vector<ScheduledEvent>& events) {
    Texts keys;
    for (const ScheduledEvent& event : events) keys.push_back(event.key);
    return keys;
  }
};
PENSTOCK_FOR_ALL_STORES(ScheduleTest);

TEST_P(ScheduleTest, AnEventIsKeptWhole) {
  EXPECT_EQ(Schedule({Event("a", 10)}), (std::vector<bool>{true}));
  Reopen();
  const auto event = GetEvent("a");
  ASSERT_TRUE(event.ok()) << event.status();
  const ScheduledEvent wanted = Event("a", 10);
  EXPECT_EQ(event->space, wanted.space);
  EXPECT_EQ(event->type, wanted.type);
  EXPECT_EQ(event->source, wanted.source);
  EXPECT_EQ(event->id, wanted.id);
  EXPECT_EQ(event->ordering_key, wanted.ordering_key);
  EXPECT_EQ(event->body, wanted.body);
  EXPECT_EQ(event->content_hash, wanted.content_hash);
  EXPECT_EQ(event->due, wanted.due);
  EXPECT_EQ(event->create_time, wanted.create_time);
  EXPECT_TRUE(absl::IsNotFound(GetEvent("b").status()));
}

TEST_P(ScheduleTest, ASecondOneUnderItsKeyIsNotNew) {
  EXPECT_EQ(Schedule({Event("a", 10), Event("b", 11), Event("a", 99)}),
            (std::vector<bool>{true, true, false}));
  EXPECT_EQ(Schedule({Event("a", 20), Event("a", 20, "other")}), (std::vector<bool>{false, true}));
  EXPECT_EQ(GetEvent("a")->due, At(10));
}

TEST_P(ScheduleTest, WhatIsDueComesInOrder) {
  Schedule({Event("c", 30), Event("a", 10), Event("d", 40), Event("b", 20)});
  const auto none = Due(9);
  EXPECT_TRUE(none.events.empty());
  EXPECT_EQ(none.next, At(10));
  const auto some = Due(30);
  EXPECT_EQ(KeysOf(some.events), (Texts{"a", "b", "c"}));
  EXPECT_EQ(some.next, At(40));
  const auto limited = Due(30, 2);
  EXPECT_EQ(KeysOf(limited.events), (Texts{"a", "b"}));
  EXPECT_EQ(limited.next, At(30));
  EXPECT_EQ(Due(99).next, std::nullopt);
}

TEST_P(ScheduleTest, SpacesCanBeExceptedFromWhatIsDue) {
  Schedule({Event("a", 10, "one"), Event("b", 20), Event("c", 30, "two"), Event("d", 40)});
  const auto two = Due(20, 10, {"one"});
  EXPECT_EQ(KeysOf(two.events), (Texts{"b"}));
  EXPECT_EQ(two.next, At(30));
  const auto one = Due(20, 1, {"one", "two"});
  EXPECT_EQ(KeysOf(one.events), (Texts{"b"}));
  EXPECT_EQ(one.next, At(40));
  EXPECT_EQ(Due(99, 10, {"one", "two", "shop"}).next, std::nullopt);
}

TEST_P(ScheduleTest, APublishedKeyIsRememberedForTheWindow) {
  Schedule({Event("a", 10)});
  ASSERT_TRUE(Remove({Event("a", 10)}).ok());
  EXPECT_TRUE(Due(99).events.empty());
  Reopen();
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_EQ(Schedule({Event("a", 200)}), (std::vector<bool>{false}));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Schedule({Event("a", 200)}), (std::vector<bool>{true}));
}

TEST_P(ScheduleTest, ACancelledOneMayComeAgain) {
  Schedule({Event("a", 10)});
  EXPECT_EQ(Cancel("a")->id, "id-a");
  EXPECT_TRUE(absl::IsNotFound(Cancel("a").status()));
  EXPECT_EQ(Schedule({Event("a", 20)}), (std::vector<bool>{true}));
  // The first one's removal does not take the second one with it.
  ASSERT_TRUE(Remove({Event("a", 10)}).ok());
  EXPECT_EQ(GetEvent("a")->due, At(20));
}

TEST_P(ScheduleTest, ListsPageByDueTime) {
  Schedule({Event("b", 10), Event("a", 10), Event("c", 5), Event("d", 30), Event("e", 1, "other")});
  ScheduledQuery query;
  query.space = "shop";
  query.limit = 2;
  Texts keys;
  int pages = 0;
  do {
    const auto page = ListPage(query);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const std::string& key : KeysOf(page->events)) keys.push_back(key);
    query.after = page->next;
  } while (++pages < 10 && !query.after.empty());
  EXPECT_EQ(keys, (Texts{"c", "a", "b", "d"}));
  EXPECT_EQ(pages, 2);
  query.after = "nonsense";
  EXPECT_EQ(FieldViolationsOf(ListPage(query).status()).at(0).field, "pageToken");
  query = {.space = "shop", .event_id = "id-d", .after = "", .limit = 2};
  EXPECT_EQ(KeysOf(ListPage(query)->events), (Texts{"d"}));
}

}  // namespace
}  // namespace penstock::broker
