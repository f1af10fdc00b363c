#include "tests/unit/services/event-broker/domain/catalog_fixture.h"

namespace penstock::broker {
namespace {

using State = SubscriptionState;

class CatalogStateTest : public CatalogTest {
 protected:
  void Pause() { catalog_.Pause("shop", "orders", Note()); }
  void Resume() { catalog_.Resume("shop", "orders", Note()); }
  void Drain() { catalog_.Drain("shop", "orders", Note()); }
  void InPlace() { Reply({"update", "append", "activate"}); }
  // A subscription that drains; the control record was the log's second.
  void Draining() {
    Created();
    Drain();
    Reply({"append 1", "update 2"});
  }
  Subscription Current() const { return *catalog_.Get("shop", "orders"); }
};

TEST_F(CatalogStateTest, PauseAndResumeApplyAtOnce) {
  Created();
  Pause();
  InPlace();
  EXPECT_EQ(Current().state, State::kPaused);
  EXPECT_EQ(Current().match_revision, 1);
  EXPECT_EQ(delivery_.changes().back().state, State::kPaused);
  Resume();
  InPlace();
  EXPECT_EQ(Current().state, State::kActive);
}

TEST_F(CatalogStateTest, ADrainEndsWhereItsRecordIs) {
  Created();
  log_.set_head(70);
  Drain();
  // Stored only after its place in the log is known.
  steps_.Reply("append 1");
  EXPECT_EQ(store_.written().drain_to, 71u);
  EXPECT_EQ(store_.written().state, State::kDraining);
  EXPECT_EQ(answer(), std::nullopt);
  steps_.Reply("update 2");
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(changed_.subscription.drain_to, 71u);
  EXPECT_EQ(changed_.catalog_revision, 71);
  EXPECT_EQ(delivery_.changes().back().drain_to, 71u);
}

TEST_F(CatalogStateTest, ADrainThatCannotBeStoredChangesNothing) {
  Created();
  Drain();
  steps_.Reply("append 1", absl::UnavailableError("disk"));
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Current().state, State::kActive);
  Drain();
  steps_.Reply("append 1");
  steps_.Reply("update 2", absl::UnavailableError("disk"));
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Current().state, State::kActive);
  EXPECT_EQ(Current().drain_to, kNoSequence);
  EXPECT_TRUE(steps_.waiting().empty());
}

TEST_F(CatalogStateTest, WhenAllIsDeliveredItIsPausedThere) {
  Draining();
  catalog_.Drained(Current().uid, 2);
  InPlace();
  EXPECT_EQ(Current().state, State::kPaused);
  EXPECT_EQ(Current().drain_to, 2u);
  Resume();
  InPlace();
  EXPECT_EQ(Current().state, State::kActive);
  EXPECT_EQ(Current().drain_to, kNoSequence);
}

TEST_F(CatalogStateTest, ThePauseAfterADrainIsNotLost) {
  Draining();
  const std::string uid = Current().uid;
  catalog_.Drained(uid, 2);
  steps_.Reply("update 3", absl::UnavailableError("disk"));
  EXPECT_EQ(Current().state, State::kDraining);
  // Another change is under way when it is tried again.
  Edit([](Subscription& edited) { edited.in_flight_max = 3; });
  catalog_.Maintain();
  Reply({"update 3", "prune", "append 1", "activate 1"});
  EXPECT_EQ(Current().state, State::kDraining);
  catalog_.Maintain();
  InPlace();
  EXPECT_EQ(Current().state, State::kPaused);
  EXPECT_EQ(Current().in_flight_max, 3);
}

TEST_F(CatalogStateTest, TheEndOfAnEarlierDrainIsNotThatOfALaterOne) {
  Draining();
  Resume();
  InPlace();
  Drain();
  Reply({"append 1", "update 4"});
  ASSERT_EQ(Current().drain_to, 4u);
  catalog_.Drained(Current().uid, 2);
  EXPECT_TRUE(steps_.waiting().empty());
  catalog_.Drained("unknown", 4);
  EXPECT_TRUE(steps_.waiting().empty());
  EXPECT_EQ(Current().state, State::kDraining);
}

TEST_F(CatalogStateTest, ASecondDrainJoinsTheFirst) {
  Draining();
  Drain();
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(changed_.subscription.drain_to, 2u);
  EXPECT_TRUE(steps_.waiting().empty());
}

TEST_F(CatalogStateTest, APauseKeepsTheEndOfADrain) {
  Draining();
  Pause();
  InPlace();
  EXPECT_EQ(Current().state, State::kPaused);
  EXPECT_EQ(Current().drain_to, 2u);
  catalog_.Drained(Current().uid, 2);  // Too late: a person has paused it.
  EXPECT_TRUE(steps_.waiting().empty());
}

TEST_F(CatalogStateTest, PathsCannotBeSteered) {
  Subscription subscription = Wanted();
  subscription.event_type.clear();
  subscription.http = HttpRoute{"GET", "/x", ""};
  Create({subscription, false, ""});
  Reply({"acquire", "save 1", "append 1", "activate 1"});
  Drain();
  EXPECT_EQ(answer(), absl::StatusCode::kFailedPrecondition);
  Pause();
  EXPECT_EQ(answer(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Current().start.resolved, kNoSequence);
}

TEST_F(CatalogStateTest, TheOrderingKeyIsPartOfMatching) {
  Created();
  Edit([](Subscription& edited) { edited.ordering = OrderingPolicy(); });
  Reply({"save 2", "append 2", "activate 2"});
  EXPECT_EQ(Current().match_revision, 2);
  Edit([](Subscription& edited) { edited.ordering->held_max = 5; });
  InPlace();
  EXPECT_EQ(Current().match_revision, 2);
  Edit([](Subscription& edited) { edited.ordering->by = "tenant"; });
  Reply({"save 4", "append 4", "activate 4"});
  EXPECT_EQ(Current().match_revision, 4);
}

TEST_F(CatalogStateTest, ADeletionSaysWhatItDrops) {
  Created();
  SubscriptionProgress progress;
  progress.in_flight = 1;
  progress.retrying = 2;
  progress.waiting = 3;
  progress.held = 4;
  delivery_.set_progress(progress);
  Delete();
  EXPECT_EQ(answer(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(*answers_.back()), "PENDING_DELIVERIES");
  EXPECT_NE(answers_.back()->message().find("10 pending"), absl::string_view::npos);
  catalog_.Delete({"shop", "orders", "", true}, Note());
  Reply({"save 2", "append 2", "activate 2", "release"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(changed_.dropped, 10);
}

TEST_F(CatalogStateTest, ANameUsedAgainIsAnotherSubscription) {
  Created();
  const std::string first = Current().uid;
  Delete();
  Reply({"save 2", "append 2", "activate 2", "release"});
  Created();
  EXPECT_NE(Current().uid, first);
  EXPECT_EQ(Current().start.resolved, Current().effective_sequence);
}

}  // namespace
}  // namespace penstock::broker
