#include "libs/base/status.h"
#include "tests/unit/services/event-broker/domain/catalog_fixture.h"

namespace penstock::broker {
namespace {

using Texts = std::vector<std::string>;

using CatalogStepsTest = CatalogTest;

TEST_F(CatalogStepsTest, AnAnswerComesAfterEveryStep) {
  Create();
  for (const char* step : {"acquire", "save 1", "append 1", "activate 1@1"}) {
    EXPECT_EQ(answer(), std::nullopt) << step;
    EXPECT_FALSE(catalog_.Get("shop", "orders").ok());
    steps_.Reply(step);
  }
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(catalog_.Get("shop", "orders")->effective_sequence, 1u);
}

TEST_F(CatalogStepsTest, ANameUnderWayIsTaken) {
  Create();
  Create();
  EXPECT_EQ(answer(), absl::StatusCode::kAborted);
  Create("other");
  EXPECT_EQ(answer(), std::nullopt);
}

TEST_F(CatalogStepsTest, ARefusedCreationGivesItsFunctionBack) {
  Create();
  steps_.Reply("acquire");
  EXPECT_EQ(catalog_.References().size(), 1u);  // Held on its way already.
  steps_.Reply("save 1", absl::UnavailableError("no space"));
  EXPECT_EQ(answer(), std::nullopt);
  steps_.Reply("release spaces/shop/functions/bill");
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(catalog_.References().empty());
  Create();
  EXPECT_EQ(steps_.waiting(), (Texts{"acquire spaces/shop/functions/bill"}));
}

TEST_F(CatalogStepsTest, ACreationWithoutAControlRecordIsTakenBack) {
  Create();
  steps_.Reply("acquire");
  steps_.Reply("save 1");
  steps_.Reply("append 1", absl::UnavailableError("disk"));
  EXPECT_EQ(answer(), std::nullopt);
  steps_.Reply("drop 1");
  steps_.Reply("release");
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  Created();
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
}

TEST_F(CatalogStepsTest, WhatCannotBeTakenBackIsTriedAgain) {
  Create();
  steps_.Reply("acquire");
  log_.set_queue_status(absl::ResourceExhaustedError("full"));
  steps_.Reply("save 1");
  steps_.Reply("drop 1", absl::UnavailableError("disk"));
  EXPECT_EQ(answer(), absl::StatusCode::kResourceExhausted);
  // Until it is gone nobody may take the name: a restart would bring the first one back.
  Create();
  EXPECT_EQ(answer(), absl::StatusCode::kAborted);
  catalog_.Maintain();
  steps_.Reply("drop 1", absl::UnavailableError("disk"));
  steps_.Reply("prune 1");
  catalog_.Maintain();
  steps_.Reply("drop 1");
  steps_.Reply("release");
  log_.set_queue_status(absl::OkStatus());
  Created();
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
}

TEST_F(CatalogStepsTest, AChangeInPlaceIsTakenBackToo) {
  Created();
  Edit([](Subscription& subscription) { subscription.in_flight_max = 9; });
  steps_.Reply("update 2");
  steps_.Reply("append 1", absl::UnavailableError("disk"));
  steps_.Reply("update 1");
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(catalog_.Get("shop", "orders")->in_flight_max, 64);
}

TEST_F(CatalogStepsTest, AfterItsControlRecordAChangeIsNotGivenUp) {
  Created();
  Rematch();
  steps_.Reply("save 2");
  steps_.Reply("append 2");
  steps_.Reply("activate 2@2", absl::UnavailableError("disk"));
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  const std::string uid = catalog_.Get("shop", "orders")->uid;
  EXPECT_NE(catalog_.FindRevision(uid, 2), nullptr);  // Delivery goes by it.
  catalog_.Maintain();
  steps_.Reply("activate 2@2");
  EXPECT_EQ(catalog_.Get("shop", "orders")->revision, 2);
  EXPECT_EQ(catalog_.Get("shop", "orders")->effective_sequence, 2u);
}

TEST_F(CatalogStepsTest, AnUpdateOfWhatChangedMeanwhileIsRefused) {
  Created();
  Edit([this](Subscription& subscription) {
    // Somebody else is faster.
    subscription.in_flight_max = 7;
    Edit([](Subscription& other) { other.in_flight_max = 8; });
    steps_.Reply("update 2");
    steps_.Reply("append 1");
    steps_.Reply("activate 1");
  });
  EXPECT_EQ(answers_[1]->code(), absl::StatusCode::kAborted);
  EXPECT_EQ(catalog_.Get("shop", "orders")->in_flight_max, 8);
}

TEST_F(CatalogStepsTest, ANameIsFreeAfterTheReleaseOfItsFunction) {
  Created();
  Delete();
  for (const char* step : {"save 2", "append 2", "activate 2"}) steps_.Reply(step);
  EXPECT_FALSE(catalog_.Get("shop", "orders").ok());
  Create();
  EXPECT_EQ(answer(), absl::StatusCode::kAborted);
  steps_.Reply("release", absl::UnavailableError("away"));
  EXPECT_EQ(answers_[1]->code(), absl::StatusCode::kOk);
  EXPECT_EQ(catalog_.reference_counts().doubts, 1u);  // So it is reconciled.
  Created();
}

TEST_F(CatalogStepsTest, RevisionsThatNothingCanMeetAreForgotten) {
  Created();
  const std::string uid = catalog_.Get("shop", "orders")->uid;
  for (int revision = 2; revision <= 4; ++revision) {
    Rematch();
    for (const char* step : {"save", "append", "activate"}) steps_.Reply(step);
  }
  log_.set_horizon(3);
  catalog_.Maintain();
  EXPECT_NE(catalog_.FindRevision(uid, 1), nullptr);
  steps_.Reply("prune 3");
  EXPECT_EQ(catalog_.FindRevision(uid, 1), nullptr);
  EXPECT_EQ(catalog_.FindRevision(uid, 2), nullptr);
  EXPECT_NE(catalog_.FindRevision(uid, 3), nullptr);
  EXPECT_NE(catalog_.FindRevision(uid, 4), nullptr);
  catalog_.Maintain();
  EXPECT_TRUE(steps_.waiting().empty());  // Nothing new to prune.
  log_.set_horizon(100);
  catalog_.Maintain();
  steps_.Reply("prune 100");
  EXPECT_EQ(catalog_.FindRevision(uid, 3), nullptr);
  EXPECT_NE(catalog_.FindRevision(uid, 4), nullptr);
}

TEST_F(CatalogStepsTest, PendingRevisionsAreCompletedHoweverOftenItFails) {
  Subscription subscription = Wanted();
  subscription.uid = "u1";
  catalog_.Load({{subscription, false, nullptr}});
  log_.set_queue_status(absl::UnavailableError("disk"));
  catalog_.CompletePending();
  catalog_.Delete({"shop", "orders", "", false}, Note());
  EXPECT_EQ(answer(), absl::StatusCode::kAborted);  // It is being completed.
  log_.set_queue_status(absl::OkStatus());
  catalog_.Maintain();
  steps_.Reply("append 1");
  steps_.Reply("prune 1");
  steps_.Reply("activate 1@1");
  EXPECT_EQ(catalog_.Get("shop", "orders")->state, SubscriptionState::kActive);
}

TEST_F(CatalogStepsTest, LoadingDoesNotDependOnTheOrderOfUids) {
  const auto stored = [](const std::string& uid, std::int64_t revision, Sequence effective,
                         bool deleted) {
    Subscription subscription = Wanted();
    subscription.uid = uid;
    subscription.revision = subscription.match_revision = revision;
    subscription.effective_sequence = effective;
    return StoredRevision{subscription, deleted, nullptr};
  };
  // "a" is the newer subscription under the name that "b" had.
  catalog_.Load({stored("a", 1, 30, false), stored("b", 1, 10, false), stored("b", 2, 20, true)});
  ASSERT_TRUE(catalog_.Get("shop", "orders").ok());
  EXPECT_EQ(catalog_.Get("shop", "orders")->uid, "a");
  EXPECT_EQ(catalog_.FindByUid("b"), std::nullopt);
}

}  // namespace
}  // namespace penstock::broker
