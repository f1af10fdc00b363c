#include "tests/unit/services/event-broker/domain/catalog_fixture.h"

namespace penstock::broker {
namespace {

class CatalogStartTest : public CatalogTest {
 protected:
  CatalogStartTest() {
    log_.set_horizon(10);
    log_.set_head(90);
  }
  static Subscription From(StartPosition::Kind kind, Sequence sequence = kNoSequence,
                           std::int64_t second = 0) {
    Subscription subscription = Wanted();
    subscription.start.kind = kind;
    subscription.start.sequence = sequence;
    subscription.start.time = FromUnixMicros(second * 1'000'000);
    return subscription;
  }
  void CreateFrom(Subscription subscription, bool validate_only = false) {
    Create({std::move(subscription), validate_only, ""});
  }
  void Complete() { Reply({"acquire", "save", "append", "activate"}); }
};

using Kind = StartPosition::Kind;

TEST_F(CatalogStartTest, WithoutAStartItIsWhereItTookEffect) {
  Created();
  EXPECT_EQ(changed_.subscription.effective_sequence, 91u);
  EXPECT_EQ(changed_.subscription.start.resolved, 91u);
  EXPECT_TRUE(log_.pins().empty());
}

TEST_F(CatalogStartTest, TheEarliestIsTheHorizon) {
  CreateFrom(From(Kind::kEarliest));
  EXPECT_EQ(log_.pins(), (std::multiset<Sequence>{10}));  // Before anything else is done.
  Complete();
  EXPECT_EQ(changed_.subscription.start.resolved, 10u);
  EXPECT_EQ(changed_.subscription.MatchesFrom(), 10u);
}

TEST_F(CatalogStartTest, ASequenceMustBeInTheLog) {
  CreateFrom(From(Kind::kSequence, 9));
  EXPECT_EQ(answer(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(field(), "start.sequence");
  EXPECT_NE(answers_.back()->message().find("10"), absl::string_view::npos);
  CreateFrom(From(Kind::kSequence, 91));
  EXPECT_EQ(answer(), absl::StatusCode::kOutOfRange);
  CreateFrom(From(Kind::kSequence, 90));
  EXPECT_EQ(answer(), std::nullopt);
  Complete();
  EXPECT_EQ(changed_.subscription.start.resolved, 90u);
  EXPECT_EQ(log_.pins(), (std::multiset<Sequence>{90}));
}

TEST_F(CatalogStartTest, ATimeIsLookedUpElsewhere) {
  CreateFrom(From(Kind::kTime, 0, 42));
  EXPECT_TRUE(steps_.waiting().empty());
  ASSERT_EQ(blocking_.size(), 1u);
  blocking_.front()();
  Complete();
  EXPECT_EQ(changed_.subscription.start.resolved, 42u);
}

TEST_F(CatalogStartTest, ATimeAfterTheLastEventIsNow) {
  CreateFrom(From(Kind::kTime, 0, 1000));
  blocking_.front()();
  Complete();
  EXPECT_EQ(changed_.subscription.start.resolved, 91u);
  EXPECT_EQ(changed_.subscription.effective_sequence, 91u);
}

TEST_F(CatalogStartTest, TheFutureIsRefused) {
  Subscription subscription = From(Kind::kTime);
  subscription.start.time = clock_.Wall() + std::chrono::seconds(1);
  CreateFrom(subscription);
  EXPECT_EQ(field(), "start.time");
  EXPECT_TRUE(blocking_.empty());
}

TEST_F(CatalogStartTest, WhenTooManyWaitItIsRefused) {
  blocking_full_ = true;
  CreateFrom(From(Kind::kTime, 0, 42));
  EXPECT_EQ(answer(), absl::StatusCode::kResourceExhausted);
}

TEST_F(CatalogStartTest, ANameTakenDuringTheLookUpIsRefused) {
  CreateFrom(From(Kind::kTime, 0, 42));
  Created();
  blocking_.front()();
  blocking_.clear();
  EXPECT_EQ(answers_[0]->code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(log_.pins().empty());
}

TEST_F(CatalogStartTest, ValidationFindsTheStartToo) {
  CreateFrom(From(Kind::kTime, 0, 42), true);
  EXPECT_EQ(answer(), std::nullopt);
  blocking_.front()();
  blocking_.clear();
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(changed_.subscription.start.resolved, 42u);
  CreateFrom(From(Kind::kSequence, 1), true);
  EXPECT_EQ(answer(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(steps_.waiting().empty());
  EXPECT_TRUE(log_.pins().empty());
}

TEST_F(CatalogStartTest, ThePinStaysUntilDeliveryKnowsTheSubscription) {
  CreateFrom(From(Kind::kEarliest));
  Complete();
  catalog_.Maintain();
  steps_.Reply("prune");
  EXPECT_EQ(log_.pins().size(), 1u);
  delivery_.set_progress(SubscriptionProgress());
  catalog_.Maintain();
  EXPECT_TRUE(log_.pins().empty());
}

TEST_F(CatalogStartTest, AFailedCreationHoldsNoPin) {
  CreateFrom(From(Kind::kEarliest));
  steps_.Reply("acquire", absl::NotFoundError("no"));
  EXPECT_EQ(field(), "function");
  EXPECT_TRUE(log_.pins().empty());
}

TEST_F(CatalogStartTest, ARestartPinsWhatDeliveryMayNotHaveSeen) {
  Subscription subscription = From(Kind::kEarliest);
  subscription.uid = "u1";
  subscription.start.resolved = 33;
  subscription.effective_sequence = 80;
  Subscription now = Wanted("other");
  now.uid = "u2";
  now.effective_sequence = 81;
  catalog_.Load({{subscription, false, nullptr}, {now, false, nullptr}});
  EXPECT_EQ(log_.pins(), (std::multiset<Sequence>{33}));
  EXPECT_EQ(catalog_.Get("shop", "other")->start.resolved, 81u);
}

TEST_F(CatalogStartTest, AStartCannotChange) {
  Created();
  Edit([](Subscription& edited) { edited.start.kind = Kind::kEarliest; });
  EXPECT_EQ(field(), "start");
  Edit([](Subscription& edited) { edited.start.resolved = 1; });
  Reply({"update", "append", "activate"});
  EXPECT_EQ(changed_.subscription.start.resolved, 91u);
}

class CatalogAdoptTest : public CatalogTest {
 protected:
  // A subscription of which only the revisions are left; gives its uid.
  std::string Deleted() {
    Created();
    const std::string uid = changed_.subscription.uid;
    Delete();
    Reply({"save 2", "append 2", "activate 2", "release"});
    return uid;
  }
};

TEST_F(CatalogAdoptTest, TheNewOneGoesOnWhereTheOldOneEnded) {
  const std::string old = Deleted();
  Create({Wanted(), false, old});
  steps_.Reply("acquire");
  steps_.Reply("adopt " + old);
  Reply({"append 1", "activate 1"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_NE(changed_.subscription.uid, old);
  EXPECT_EQ(changed_.subscription.start.resolved, 41u);
  EXPECT_EQ(log_.pins(), (std::multiset<Sequence>{41}));
  const auto revision = catalog_.FindRevision(changed_.subscription.uid, 1);
  ASSERT_NE(revision->adopted, nullptr);
  EXPECT_EQ(revision->adopted->cursor.floor, 40u);
  delivery_.set_progress(SubscriptionProgress());
  catalog_.Maintain();
  EXPECT_EQ(catalog_.FindRevision(changed_.subscription.uid, 1)->adopted, nullptr);
}

TEST_F(CatalogAdoptTest, DeliveryFindsWhatWasAdoptedBeforeTheControlRecord) {
  const std::string old = Deleted();
  Create({Wanted(), false, old});
  steps_.Reply("acquire");
  steps_.Reply("adopt " + old);
  EXPECT_EQ(steps_.waiting(), (std::vector<std::string>{"append 1"}));
  const auto pending = catalog_.FindRevision(store_.written().uid, 1);
  ASSERT_NE(pending, nullptr);
  ASSERT_NE(pending->adopted, nullptr);
  EXPECT_EQ(pending->subscription.start.resolved, 41u);
}

TEST_F(CatalogAdoptTest, OnlyADeletedOneOfTheSameNameIsAdopted) {
  const std::string old = Deleted();
  Create({Wanted(), false, "unknown"});
  EXPECT_EQ(field(), "adoptUid");
  Create({Wanted("other"), false, old});
  EXPECT_EQ(field(), "adoptUid");
  Subscription started = Wanted();
  started.start.kind = StartPosition::Kind::kEarliest;
  Create({started, false, old});
  EXPECT_EQ(field(), "start");
  Created();
  const std::string alive = changed_.subscription.uid;
  Create({Wanted(), false, alive});
  EXPECT_EQ(answer(), absl::StatusCode::kAlreadyExists);
}

TEST_F(CatalogAdoptTest, ItWaitsForDeliveryToLetGo) {
  const std::string old = Deleted();
  Create({Wanted(), false, old});
  steps_.Reply("acquire");
  steps_.Reply("adopt", absl::NotFoundError("not yet"));
  EXPECT_EQ(answer(), std::nullopt);
  catalog_.Maintain();
  steps_.Reply("adopt");
  Reply({"prune", "append 1", "activate 1"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
}

TEST_F(CatalogAdoptTest, ItDoesNotWaitForEver) {
  const std::string old = Deleted();
  Create({Wanted(), false, old});
  steps_.Reply("acquire");
  catalog_.Maintain();
  steps_.Reply("adopt", absl::NotFoundError("not yet"));
  steps_.Reply("prune");
  for (int i = 0; i < 20; ++i) {
    catalog_.Maintain();
    ASSERT_FALSE(steps_.waiting().empty());
    if (steps_.waiting().front().starts_with("release")) break;
    steps_.Reply("adopt", absl::NotFoundError("not yet"));
  }
  steps_.Reply("release");
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_GT(RetryAfterOf(*answers_.back()), absl::ZeroDuration());
}

TEST_F(CatalogAdoptTest, WithoutAControlRecordItIsGivenBack) {
  const std::string old = Deleted();
  Create({Wanted(), false, old});
  Reply({"acquire", "adopt"});
  steps_.Reply("append 1", absl::UnavailableError("disk"));
  Reply({"drop 1", "release"});
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(log_.pins().empty());
}

}  // namespace
}  // namespace penstock::broker
