#include "libs/base/status.h"
#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

using Texts = std::vector<std::string>;
class RevisionsTest : public StateTest {};
PENSTOCK_FOR_ALL_STORES(RevisionsTest);

Subscription Routed(const std::string& id, const std::string& uid, const std::string& path) {
  Subscription subscription = SampleSubscription(id, uid);
  subscription.event_type.clear();
  subscription.filters.clear();
  subscription.retry = {};
  subscription.in_flight_max = 64;
  subscription.http = {"POST", path, ""};
  return subscription;
}

TEST_P(RevisionsTest, APendingRevisionHasNoSequenceUntilItIsActive) {
  Subscription subscription = SampleSubscription();
  subscription.state = SubscriptionState::kPending;
  ASSERT_TRUE(Save(subscription).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@0"}));
  EXPECT_EQ(store_->LoadRevisions()->front().subscription.state, SubscriptionState::kPending);
  ASSERT_TRUE(Activate("u1", 1, 7).ok());
  Reopen();
  EXPECT_EQ(Revisions(), (Texts{"u1/1@7"}));
  EXPECT_EQ(store_->LoadRevisions()->front().subscription.state, SubscriptionState::kActive);
}

TEST_P(RevisionsTest, TheFirstSequenceOfARevisionStays) {
  ASSERT_TRUE(Save(SampleSubscription()).ok());
  ASSERT_TRUE(Activate("u1", 1, 7).ok());
  ASSERT_TRUE(Activate("u1", 1, 9).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@7"}));
}

TEST_P(RevisionsTest, ANameBelongsToOneSubscription) {
  ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Save(SampleSubscription("orders", "u2"))));
  Subscription elsewhere = SampleSubscription("orders", "u3");
  elsewhere.space = "other";
  EXPECT_TRUE(Save(elsewhere).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@0", "u3/1@0"}));
}

TEST_P(RevisionsTest, ADroppedCreationFreesItsName) {
  ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
  ASSERT_TRUE(Drop("u1", 1).ok());
  EXPECT_EQ(Revisions(), Texts{});
  EXPECT_TRUE(Save(SampleSubscription("orders", "u2")).ok());
}

TEST_P(RevisionsTest, AnActiveRevisionCannotBeDropped) {
  ASSERT_TRUE(Save(SampleSubscription("orders", "u1")).ok());
  ASSERT_TRUE(Activate("u1", 1, 3).ok());
  ASSERT_TRUE(Drop("u1", 1).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@3"}));
  EXPECT_TRUE(absl::IsAlreadyExists(Save(SampleSubscription("orders", "u2"))));
}

TEST_P(RevisionsTest, ADroppedChangeLeavesTheSubscription) {
  const Subscription first = SampleSubscription();
  ASSERT_TRUE(Save(first).ok());
  ASSERT_TRUE(Activate("u1", 1, 3).ok());
  ASSERT_TRUE(Save(NextRevision(first)).ok());
  ASSERT_TRUE(Drop("u1", 2).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@3"}));
  EXPECT_TRUE(absl::IsAlreadyExists(Save(SampleSubscription("orders", "u2"))));
}

TEST_P(RevisionsTest, ADeletionFreesTheNameOnlyWhenItTakesEffect) {
  const Subscription first = SampleSubscription();
  ASSERT_TRUE(Save(first).ok());
  ASSERT_TRUE(Activate("u1", 1, 3).ok());
  ASSERT_TRUE(Save(NextRevision(first), true).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Save(SampleSubscription("orders", "u2"))));
  ASSERT_TRUE(Activate("u1", 2, 5).ok());
  EXPECT_TRUE(Save(SampleSubscription("orders", "u2")).ok());
  Reopen();
  EXPECT_EQ(Revisions(), (Texts{"u1/1@3", "-u1/2@5", "u2/1@0"}));
}

TEST_P(RevisionsTest, ARouteBelongsToOneSubscriptionOfAllSpaces) {
  ASSERT_TRUE(Save(Routed("a", "u1", "/users/:id")).ok());
  Subscription other = Routed("b", "u2", "/users/:name");
  other.space = "other";
  const absl::Status refused = Save(other);
  ASSERT_EQ(FieldViolationsOf(refused).size(), 1u) << refused;
  EXPECT_EQ(FieldViolationsOf(refused)[0].field, "http.path");
  // Nothing of the refused one stays, its name neither.
  EXPECT_EQ(Revisions(), (Texts{"u1/1@0"}));
  other.http->path = "/teams/:id";
  EXPECT_TRUE(Save(other).ok());
}

TEST_P(RevisionsTest, ARouteMovesWithAChangeInPlace) {
  Subscription subscription = Routed("a", "u1", "/old");
  ASSERT_TRUE(Save(subscription).ok());
  ASSERT_TRUE(Activate("u1", 1, 3).ok());
  subscription.http->path = "/new";
  ++subscription.revision;
  ASSERT_TRUE(UpdateInPlace(subscription).ok());
  EXPECT_TRUE(Save(Routed("b", "u2", "/old")).ok());
  EXPECT_FALSE(Save(Routed("c", "u3", "/new")).ok());
  Reopen();
  EXPECT_EQ(store_->LoadRevisions()->front().subscription.http->path, "/new");
  EXPECT_EQ(store_->LoadRevisions()->front().subscription.revision, 2);
  EXPECT_EQ(store_->LoadRevisions()->front().subscription.effective_sequence, 3u);
}

TEST_P(RevisionsTest, AChangeInPlaceNeedsItsRevision) {
  EXPECT_TRUE(absl::IsNotFound(UpdateInPlace(SampleSubscription())));
}

TEST_P(RevisionsTest, PruningKeepsWhatTheLogCanStillMeet) {
  Subscription subscription = SampleSubscription();
  ASSERT_TRUE(Save(subscription).ok());
  ASSERT_TRUE(Activate("u1", 1, 10).ok());
  for (const Sequence effective : {20, 30}) {
    subscription = NextRevision(subscription);
    ASSERT_TRUE(Save(subscription).ok());
    ASSERT_TRUE(Activate("u1", subscription.match_revision, effective).ok());
  }
  subscription = NextRevision(subscription);
  ASSERT_TRUE(Save(subscription).ok());  // Pending.
  ASSERT_TRUE(Prune(19).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@10", "u1/2@20", "u1/3@30", "u1/4@0"}));
  ASSERT_TRUE(Prune(20).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/2@20", "u1/3@30", "u1/4@0"}));
  ASSERT_TRUE(Prune(1000).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/3@30", "u1/4@0"}));
}

TEST_P(RevisionsTest, PruningRemovesDeletedSubscriptionsWhole) {
  const Subscription subscription = SampleSubscription();
  ASSERT_TRUE(Save(subscription).ok());
  ASSERT_TRUE(Activate("u1", 1, 10).ok());
  ASSERT_TRUE(Save(NextRevision(subscription), true).ok());
  ASSERT_TRUE(Activate("u1", 2, 20).ok());
  ASSERT_TRUE(Prune(19).ok());
  EXPECT_EQ(Revisions(), (Texts{"u1/1@10", "-u1/2@20"}));
  ASSERT_TRUE(Prune(20).ok());
  EXPECT_EQ(Revisions(), Texts{});
}

}  // namespace
}  // namespace penstock::broker
