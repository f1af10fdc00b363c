#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

class AdoptionTest : public StateTest {
 protected:
  // "u1" has a cursor, a row and a dead letter, and is deleted; delivery has let go.
  void EndFirst() {
    ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
    ASSERT_TRUE(Activate("u1", 1, 10).ok());
    StateTransaction transaction;
    transaction.matched_through = 50;
    transaction.cursors["u1"] = {40, {42, 45}, 0, 0, 0};
    transaction.rows = {{"u1", SampleRow(41)}};
    StoredDeadLetter letter = SampleLetter(7);
    letter.delivery.key.uid = "u1";
    StoredDeadLetter of_replay = SampleLetter(8);
    of_replay.delivery.key.uid = "u1.r1";
    ASSERT_TRUE(Commit(transaction, {letter, of_replay}).ok());
    EndSubscription("u1", 60);
  }
  void EndSubscription(const std::string& uid, Sequence at) {
    ASSERT_TRUE(Save(NextRevision(SampleSubscription("orders", uid)), true).ok());
    ASSERT_TRUE(Activate(uid, 2, at).ok());
    Forget(uid, at);
  }
  void Forget(const std::string& lane, Sequence matched_through) {
    StateTransaction transaction;
    transaction.matched_through = matched_through;
    transaction.forgotten = {lane};
    ASSERT_TRUE(Commit(transaction).ok());
  }
  static Subscription Second() { return SampleSubscription("orders", "u2"); }
};
PENSTOCK_FOR_ALL_STORES(AdoptionTest);

TEST_P(AdoptionTest, WhatEndedIsNotRestored) {
  EndFirst();
  Reopen();
  const SavedDeliveryState state = Load();
  EXPECT_TRUE(state.cursors.empty());
  EXPECT_TRUE(state.rows.empty());
  EXPECT_EQ(Count("u1"), 2);  // Readable for their own time.
}

TEST_P(AdoptionTest, CursorRowsAndDeadLettersGoOn) {
  EndFirst();
  const auto stored = SaveAdopting("u1", Second());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->subscription.start.resolved, 41u);
  ASSERT_NE(stored->adopted, nullptr);
  EXPECT_EQ(stored->adopted->cursor.floor, 40u);
  EXPECT_EQ(stored->adopted->cursor.acked, (std::vector<Sequence>{42, 45}));
  ASSERT_EQ(stored->adopted->rows.size(), 1u);
  EXPECT_EQ(stored->adopted->rows[0].position.sequence, 41u);
  EXPECT_EQ(stored->adopted->dead.letters, 2u);  // With its replay's.
  EXPECT_EQ(stored->adopted->dead.bytes, 2u * SampleLetter(7).event.size());
  EXPECT_EQ(stored->adopted->dead.failed_keys, Load().dead.at("u2").failed_keys);
  EXPECT_FALSE(stored->adopted->dead.failed_keys.empty());
  Reopen();
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.cursors.at("u2").floor, 40u);
  EXPECT_EQ(state.rows.at("u2").size(), 1u);
  EXPECT_EQ(state.dead.at("u2").letters, 1u);
  EXPECT_EQ(state.dead.at("u2.r1").letters, 1u);
  EXPECT_TRUE(Get({"u2", 7}).ok());
  EXPECT_EQ(Count("u1"), 0);
  // A start finds what delivery has not taken over yet.
  const auto revisions = store_->LoadRevisions();
  ASSERT_EQ(revisions->size(), 3u);
  const StoredRevision& last = revisions->back();
  EXPECT_EQ(last.subscription.uid, "u2");
  EXPECT_EQ(last.subscription.start.resolved, 41u);
  ASSERT_NE(last.adopted, nullptr);
  EXPECT_EQ(last.adopted->rows.size(), 1u);
}

TEST_P(AdoptionTest, OneThatHadNothingPendingGoesOnWhereAllWere) {
  ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
  ASSERT_TRUE(Activate("u1", 1, 10).ok());
  StateTransaction transaction;
  transaction.matched_through = 50;
  ASSERT_TRUE(Commit(transaction).ok());
  // Up to 50 everything was done; what came with the deletion was not.
  EndSubscription("u1", 60);
  const auto stored = SaveAdopting("u1", Second());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->adopted->cursor.floor, 50u);
  EXPECT_EQ(stored->subscription.start.resolved, 51u);
}

TEST_P(AdoptionTest, ItStartsNoEarlierThanAskedFor) {
  EndFirst();
  Subscription second = Second();
  second.start.resolved = 45;
  EXPECT_EQ(SaveAdopting("u1", second)->subscription.start.resolved, 45u);
}

TEST_P(AdoptionTest, NothingIsThereUntilDeliveryLetGo) {
  ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
  ASSERT_TRUE(Activate("u1", 1, 10).ok());
  ASSERT_TRUE(Save(NextRevision(SampleSubscription("orders", "u1")), true).ok());
  ASSERT_TRUE(Activate("u1", 2, 60).ok());
  EXPECT_TRUE(absl::IsNotFound(SaveAdopting("u1", Second()).status()));
  Forget("u1", 60);
  EXPECT_TRUE(SaveAdopting("u1", Second()).ok());
}

TEST_P(AdoptionTest, ARefusedOneLeavesEverythingWhereItWas) {
  EndFirst();
  ASSERT_TRUE(Save(SampleSubscription("orders", "u3")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(SaveAdopting("u1", Second()).status()));
  EXPECT_TRUE(Load().cursors.empty());
  EXPECT_EQ(Count("u1"), 2);
  ASSERT_TRUE(Drop("u3", 1).ok());
  EXPECT_TRUE(SaveAdopting("u1", Second()).ok());
}

TEST_P(AdoptionTest, ADroppedOneGivesEverythingBack) {
  EndFirst();
  ASSERT_TRUE(SaveAdopting("u1", Second()).ok());
  ASSERT_TRUE(Drop("u2", 1).ok());
  EXPECT_TRUE(Load().cursors.empty());
  EXPECT_TRUE(Load().rows.empty());
  EXPECT_EQ(Count("u1"), 2);
  EXPECT_TRUE(Get({"u1.r1", 8}).ok());
  const auto again = SaveAdopting("u1", SampleSubscription("orders", "u4"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->adopted->cursor.floor, 40u);
  EXPECT_EQ(again->adopted->rows.size(), 1u);
}

TEST_P(AdoptionTest, WhatEndedGoesWithItsRevisions) {
  EndFirst();
  ASSERT_TRUE(Prune(59).ok());
  ASSERT_TRUE(SaveAdopting("u1", Second()).ok());
  ASSERT_TRUE(Drop("u2", 1).ok());
  ASSERT_TRUE(Prune(60).ok());
  EXPECT_TRUE(absl::IsNotFound(SaveAdopting("u1", Second()).status()));
  EXPECT_EQ(Count("u1"), 2);
}

TEST_P(AdoptionTest, AdoptionTakesPlaceOnce) {
  EndFirst();
  ASSERT_TRUE(SaveAdopting("u1", Second()).ok());
  Subscription other = SampleSubscription("other", "u5");
  EXPECT_TRUE(absl::IsNotFound(SaveAdopting("u1", other).status()));
}

}  // namespace
}  // namespace penstock::broker
