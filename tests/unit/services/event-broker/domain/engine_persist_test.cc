// What becomes durable, and when.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, TheFloorStaysBelowWhatIsNotDone) {
  Add("a");
  for (Sequence s = 1; s <= 3; ++s) Append("a", s);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);
  Finish("a", 3, 1, DeliveryOutcome::kSucceeded);
  const StateTransaction transaction = Flush();
  ASSERT_TRUE(transaction.cursors.contains("a"));
  EXPECT_EQ(transaction.cursors.at("a").floor, 1u);
  EXPECT_EQ(transaction.cursors.at("a").acked, (std::vector<Sequence>{3}));
  EXPECT_EQ(engine_->lowest_needed(), 2u);
}

TEST_F(EngineTest, ARowLetsTheFloorPassInTheSameTransaction) {
  Add("a");
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  const StateTransaction transaction = Flush();
  EXPECT_TRUE(transaction.cursors.empty());
  ASSERT_EQ(transaction.rows.size(), 1u);
  EXPECT_EQ(transaction.rows[0].second.position.sequence, 1u);
  EXPECT_EQ(transaction.matched_through, 1u);
  EXPECT_EQ(engine_->lowest_needed(), 1u);
}

TEST_F(EngineTest, OnlyOneTransactionIsOnItsWayAtATime) {
  Add("a");
  Append("a", 1);
  engine_->Flush(now(), out_);
  ASSERT_TRUE(out_.transaction);
  out_.transaction.reset();
  Append("a", 2);
  Advance(1s);
  EXPECT_FALSE(out_.transaction);
  engine_->Persisted(now(), out_);
  EXPECT_TRUE(out_.transaction);
}

TEST_F(EngineTest, WithNothingToDoItAsksForNoWake) {
  Add("a");
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kRetryable);
  EXPECT_TRUE(out_.wake_at.has_value());  // The retry, and the flush.
  Flush();
  Advance(1min);
  Finish("a", 1, 2, DeliveryOutcome::kSucceeded);
  Flush();
  EXPECT_EQ(out_.wake_at, std::nullopt);
}

TEST_F(EngineTest, ForgetsAlsoWhatOnlyTheStoreKnows) {
  engine_->Remove("gone", now(), out_);
  EXPECT_EQ(Flush().forgotten, (std::vector<std::string>{"gone"}));
}

TEST_F(EngineTest, ARowThatTheStoreNeverHadIsNeitherWrittenNorDeleted) {
  Add("a");
  Append("a", 1);
  Fail("a", 1);
  Advance(50ms);  // Less than a flush.
  engine_->Tick(now(), out_);
  ASSERT_FALSE(out_.transaction);
  Finish("a", 1, 1, DeliveryOutcome::kSucceeded);  // Late; the row stays.
  Finish("a", 2, 1, DeliveryOutcome::kSucceeded);
  DeliverySettings fast;
  fast.retry.delay_initial = fast.retry.delay_max = 1ms;
  Add("b", fast);
  Append("b", 2);
  Fail("b", 2);
  Advance(2ms);
  Succeed("b", 2, 2);
  const StateTransaction transaction = Flush();
  ASSERT_EQ(transaction.rows.size(), 1u);
  EXPECT_EQ(transaction.rows[0].first, "a");
  EXPECT_TRUE(transaction.rows_removed.empty());
}

TEST_F(EngineTest, ARowThatTheStoreHasIsDeletedOnce) {
  Add("a");
  Append("a", 1);
  Fail("a", 1);
  EXPECT_EQ(Flush().rows.size(), 1u);
  Advance(10s);
  Succeed("a", 1, 2);
  EXPECT_EQ(Flush().rows_removed, (std::vector<DeliveryKey>{{"a", 1}}));
  Append("a", 2);
  EXPECT_TRUE(Flush().rows_removed.empty());
}

TEST_F(EngineTest, OnlyLanesThatChangedAreInATransaction) {
  Add("a");
  Add("b");
  Append("a", 1);
  Append("b", 2);
  EXPECT_EQ(Flush().cursors.size(), 2u);
  Succeed("b", 2);
  const StateTransaction transaction = Flush();
  EXPECT_TRUE(transaction.cursors.empty());
  EXPECT_EQ(transaction.cursors_removed, (std::vector<std::string>{"b"}));
}

TEST_F(EngineTest, ASlowDeliveryLetsTheFloorPassAsARow) {
  EngineOptions options;
  options.acked_max = 10;
  Begin(options);
  Add("a");
  for (Sequence s = 1; s <= 12; ++s) Append("a", s);
  for (Sequence s = 2; s <= 11; ++s) Succeed("a", s);
  EXPECT_EQ(Progress("a").floor, 0u);
  Succeed("a", 12);
  EXPECT_EQ(Progress("a").floor, 12u);
  const StateTransaction transaction = Flush();
  ASSERT_EQ(transaction.rows.size(), 1u);
  EXPECT_EQ(transaction.rows[0].second.position.sequence, 1u);
  Succeed("a", 1);
  EXPECT_EQ(Flush().rows_removed.size(), 1u);
}

TEST_F(EngineTest, WhatIsAcknowledgedAboveTheFloorIsNotSentAgainAfterARestart) {
  Restart({}, 4);
  const Cursor cursor{1, {3}};
  engine_->SetCapacity(10, now(), out_);
  engine_->Restore("a", {}, &cursor, {}, now(), out_);
  EXPECT_EQ(engine_->lowest_needed(), 2u);
  AnswerScan();
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1", "a-4#1"}));
  EXPECT_EQ(Flush().cursors.at("a").acked, (std::vector<Sequence>{3}));
}

TEST_F(EngineTest, WhatWasNotScannedAgainYetStaysAcknowledged) {
  Restart({}, 4);
  const Cursor cursor{1, {3}};
  engine_->Restore("a", {}, &cursor, {}, now(), out_);
  DeliverySettings other;
  other.in_flight_max = 1;
  engine_->ChangeSettings("a", other, now(), out_);
  engine_->Scanned("a", {{2, wall_}}, 3, now(), out_);
  EXPECT_EQ(Flush().cursors.at("a").acked, (std::vector<Sequence>{3}));
}

}  // namespace
}  // namespace penstock::broker
