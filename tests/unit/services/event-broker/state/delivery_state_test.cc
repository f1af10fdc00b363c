#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

class DeliveryStateTest : public StateTest {};
PENSTOCK_FOR_ALL_STORES(DeliveryStateTest);

TEST_P(DeliveryStateTest, EverythingIsThereAfterReopening) {
  StateTransaction transaction;
  transaction.matched_through = 50;
  transaction.cursors["u1"] = {40, {42, 43, kMaxSequence / 2}, 0, 0, 0};
  transaction.cursors["u1.r1"] = {7, {}, 30, 20, 10};
  transaction.rows = {{"u1", SampleRow(41)}, {"u2", SampleRow(7)}};
  ASSERT_TRUE(Commit(transaction).ok());
  Reopen();
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 50u);
  ASSERT_EQ(state.cursors.size(), 2u);
  EXPECT_EQ(state.cursors.at("u1").floor, 40u);
  EXPECT_EQ(state.cursors.at("u1").acked, (std::vector<Sequence>{42, 43, kMaxSequence / 2}));
  EXPECT_EQ(state.cursors.at("u1.r1").matched, 30u);
  EXPECT_EQ(state.cursors.at("u1.r1").delivered, 20u);
  EXPECT_EQ(state.cursors.at("u1.r1").dead, 10u);
  ASSERT_EQ(state.rows.size(), 2u);
  const RetryRow row = state.rows.at("u1").at(0);
  EXPECT_EQ(row.position.key, 0xfedcba9876543210);
  EXPECT_EQ(row.position.bytes, 321u);
  EXPECT_EQ(row.kind, RowKind::kSink);
  EXPECT_EQ(row.dead_reason, DeadReason::kHopLimit);
  EXPECT_EQ(row.member, 3);
  EXPECT_EQ(row.attempts_sent, 6);
  EXPECT_EQ(row.position.sequence, 41u);
  EXPECT_EQ(row.position.append_time, SampleRow(41).position.append_time);
  EXPECT_EQ(row.attempts_made, 2);
  EXPECT_EQ(row.lost, 1);
  EXPECT_EQ(row.rejected, 4);
  EXPECT_EQ(row.due, SampleRow(41).due);
  EXPECT_EQ(row.delay, SampleRow(41).delay);
  EXPECT_EQ(row.age_from, SampleRow(41).age_from);
  EXPECT_EQ(row.redrives, 3);
  ASSERT_EQ(row.log.size(), 1u);
  EXPECT_EQ(row.log[0].error.type, "Boom");
  EXPECT_EQ(row.log[0].duration, Microseconds(1234));
  EXPECT_EQ(row.log[0].http_status, 503);
}

TEST_P(DeliveryStateTest, EachOpeningHasALargerEpoch) {
  const std::int64_t first = store_->epoch();
  EXPECT_GT(first, 0);
  Reopen();
  const std::int64_t second = store_->epoch();
  EXPECT_GT(second, first);
  Reopen();
  EXPECT_GT(store_->epoch(), second);
}

TEST_P(DeliveryStateTest, LaterTransactionsReplaceAndRemove) {
  StateTransaction first;
  first.matched_through = 50;
  first.cursors["u1"] = {40, {42}, 0, 0, 0};
  first.cursors["u2"] = {30, {}, 0, 0, 0};
  first.rows = {{"u1", SampleRow(41)}, {"u1", SampleRow(42)}, {"u2", SampleRow(7)}};
  ASSERT_TRUE(Commit(first).ok());
  StateTransaction second;
  second.matched_through = 60;
  second.cursors_removed = {"u1"};
  second.rows_removed = {{"u1", 41}};
  second.forgotten = {"u2"};
  ASSERT_TRUE(Commit(second).ok());
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 60u);
  EXPECT_TRUE(state.cursors.empty());
  ASSERT_EQ(state.rows.size(), 1u);
  ASSERT_EQ(state.rows.at("u1").size(), 1u);
  EXPECT_EQ(state.rows.at("u1")[0].position.sequence, 42u);
}

TEST_P(DeliveryStateTest, WhatWasMatchedNeverGoesBack) {
  StateTransaction transaction;
  transaction.matched_through = 60;
  ASSERT_TRUE(Commit(transaction).ok());
  transaction.matched_through = 50;
  ASSERT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Load().matched_through, 60u);
}

TEST_P(DeliveryStateTest, ForgettingASubscriptionKeepsItsDeadLetters) {
  ASSERT_TRUE(Commit({}, {SampleLetter(1)}).ok());
  StateTransaction transaction;
  transaction.forgotten = {"uid-orders"};
  ASSERT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Count("uid-orders"), 1);
}

TEST_P(DeliveryStateTest, AStoppedStoreAnswers) {
  store_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(Commit({})));
}

}  // namespace
}  // namespace penstock::broker
