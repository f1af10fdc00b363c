// Order by key.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, SendsOneOfAKeyAtATimeAndOtherKeysBesideIt) {
  Add("a", Ordered());
  Append("a", 1, 7);
  Append("a", 2, 7);
  Append("a", 3, 8);
  Append("a", 4);  // Without a key, without order.
  Append("a", 5);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-3#1", "a-4#1", "a-5#1"}));
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1"}));
}

TEST_F(EngineTest, AFailingKeyHoldsOnlyItself) {
  Add("a", Ordered());
  Append("a", 1, 7);
  Append("a", 2, 7);
  Fail("a", 1);
  Append("a", 3, 8);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-3#1"}));
  EXPECT_EQ(Progress("a").blocked, (std::vector<Sequence>{1}));
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
  Fail("a", 1, 2);  // Its policy is used up: the next one goes on.
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1"}));
  EXPECT_EQ(Flush().dead.size(), 1u);
}

TEST_F(EngineTest, WhatWaitsBehindAKeyIsHeldInRowsSoThatTheFloorMovesOn) {
  EngineOptions options;
  options.acked_max = 2;
  Begin(options);
  Add("a", Ordered());
  Append("a", 1, 7);
  Append("a", 2, 7);
  for (Sequence s = 3; s <= 5; ++s) Append("a", s, s);
  for (Sequence s = 3; s <= 5; ++s) Succeed("a", s);
  EXPECT_EQ(Progress("a").floor, 5u);
  EXPECT_EQ(Progress("a").held, 1u);
  EXPECT_EQ(engine_->Find({"a", 2})->place, DeliveryPlace::kHeld);
  const StateTransaction transaction = Flush();
  ASSERT_EQ(transaction.rows.size(), 2u);
  EXPECT_EQ(transaction.rows[1].second.kind, RowKind::kHeld);
  EXPECT_EQ(transaction.rows[1].second.position.key, 7u);
  TakeSends();
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1"}));
  Succeed("a", 2);
  EXPECT_EQ(Flush().rows_removed.size(), 2u);
  EXPECT_EQ(Progress("a").held, 0u);
}

TEST_F(EngineTest, OneKeyDoesNotFillTheWindowOfTheOthers) {
  EngineOptions options;
  options.window = 8;
  Begin(options);
  Add("a", Ordered());
  for (Sequence s = 1; s <= 20; ++s) Append("a", s, 7);
  Append("a", 21, 8);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-21#1"}));
  EXPECT_EQ(Progress("a").held, 15u);
  EXPECT_FALSE(Progress("a").catching_up);
}

TEST_F(EngineTest, AtItsMostHeldRowsALaneTakesNothingNew) {
  EngineOptions options;
  options.window = 8;
  Begin(options);
  DeliverySettings settings = Ordered();
  settings.held_max = 3;
  Add("a", settings);
  for (Sequence s = 1; s <= 20; ++s) Append("a", s, 7);
  EXPECT_EQ(Progress("a").block, LaneBlock::kKeyBacklog);
  EXPECT_EQ(Progress("a").held, 3u);
  EXPECT_TRUE(Progress("a").catching_up);
  EXPECT_TRUE(out_.scans.empty());
  for (Sequence s = 1; s <= 20; ++s) {
    Succeed("a", s);
    if (!out_.scans.empty()) AnswerScan(7);
  }
  EXPECT_EQ(out_.sends.size(), 20u);
  EXPECT_EQ(Progress("a").floor, 20u);
}

TEST_F(EngineTest, ABlockedKeyIsTriedAtTheLongestDelayForEver) {
  DeliverySettings settings = Ordered(OnExhausted::kBlock);
  settings.retry.delay_max = 1min;
  settings.retry.age_max = 1h;
  Add("a", settings);
  Append("a", 1, 7);
  Append("a", 2, 7);
  Fail("a", 1);
  Advance(1s);
  Fail("a", 1, 2);
  for (int attempt = 3; attempt <= 100; ++attempt) {
    TakeSends();
    Advance(1min);
    ASSERT_EQ(out_.sends.size(), 1u) << attempt;
    Finish("a", 1, attempt,
           attempt % 2 == 0 ? DeliveryOutcome::kRetryable : DeliveryOutcome::kPermanent);
  }
  EXPECT_EQ(counters().dead, 0u);
  Advance(1min);
  TakeSends();
  Succeed("a", 1, 101);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1"}));
}

TEST_F(EngineTest, AKeyThatFailedIsDeadUntilItsLetterIsRedriven) {
  Add("a", Ordered(OnExhausted::kDeadLetterKey));
  Append("a", 1, 7);
  Append("a", 2, 7);
  Append("a", 3, 8);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Append("a", 4, 7);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 3u);
  EXPECT_EQ(dead[0].key.sequence, 2u);
  EXPECT_EQ(dead[0].reason, DeadReason::kKeyFailed);
  EXPECT_EQ(dead[1].reason, DeadReason::kPermanent);
  EXPECT_EQ(dead[1].ordering_key, 7u);
  EXPECT_EQ(dead[2].key.sequence, 4u);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-3#1"}));
  engine_->Redrive({{{"a", 4}, wall_, 7, 0}}, 0, now(), out_);
  Append("a", 5, 7);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1*"}));
  engine_->Redrive({{{"a", 1}, wall_, 7, 0}}, 0, now(), out_);
  Append("a", 6, 7);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1*", "a-6#1"}));
}

TEST_F(EngineTest, AFailedKeyIsRememberedOverARestartUntilItsLetterIsPurged) {
  Restart({}, 3);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(10, now(), out_);
  engine_->Restore("a", Ordered(OnExhausted::kDeadLetterKey), nullptr, {}, now(), out_);
  engine_->RestoreDead("a", {1, 100, {{7, 2}}}, now(), out_);
  Append("a", 4, 7);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kKeyFailed);
  engine_->FreeKeys("a", {2}, now(), out_);
  Append("a", 5, 7);
  EXPECT_EQ(TakeSends(), (Sends{"a-5#1"}));
}

TEST_F(EngineTest, OnlyALetterThatFailedItsKeyIsKeptWithIt) {
  Add("a", Ordered());
  Append("a", 1, 7);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  engine_->ChangeSettings("a", Ordered(OnExhausted::kDeadLetterKey), now(), out_);
  Append("a", 2, 8);
  Finish("a", 2, 1, DeliveryOutcome::kGone);
  Append("a", 3, 9);
  Finish("a", 3, 1, DeliveryOutcome::kPermanent);
  Append("a", 4, 9);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 4u);
  EXPECT_EQ(dead[0].ordering_key, 0u);
  EXPECT_EQ(dead[1].ordering_key, 0u);
  EXPECT_EQ(dead[2].ordering_key, 9u);
  EXPECT_EQ(dead[3].ordering_key, 0u);
}

TEST_F(EngineTest, RestoredRowsOfAFailedKeyAreDeadWhenTheScanComesBy) {
  for (const bool is_found : {true, false}) {
    Restart({}, 10);
    engine_->Settled(now(), out_);
    engine_->SetCapacity(10, now(), out_);
    RetryRow row;
    row.position = {5, wall_, 7, 100};
    row.age_from = wall_;
    const Cursor cursor{4, {}};
    engine_->Restore("a", Ordered(OnExhausted::kDeadLetterKey), &cursor, {row}, now(), out_);
    engine_->RestoreDead("a", {1, 100, {{7, 2}}}, now(), out_);
    std::vector<Position> found;
    if (is_found) found.push_back(row.position);
    engine_->Scanned("a", found, 11, now(), out_);
    EXPECT_EQ(TakeSends(), Sends{});
    const StateTransaction transaction = Flush();
    ASSERT_EQ(transaction.dead.size(), 1u);
    EXPECT_EQ(transaction.dead[0].reason, DeadReason::kKeyFailed);
    EXPECT_EQ(Progress("a").retrying, 0u);
  }
}

TEST_F(EngineTest, ARedrivenLetterGoesWithoutRegardToItsKey) {
  Add("a", Ordered());
  Append("a", 1, 7);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Append("a", 2, 7);
  engine_->Redrive({{{"a", 1}, wall_, 7, 0}}, 0, now(), out_);
  Append("a", 3, 8);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1", "a-1#1*", "a-3#1"}));
}

TEST_F(EngineTest, NothingOfAKeyIsSentBeforeTheCallsOfBeforeHaveEnded) {
  Restart({}, 10);
  engine_->SetCapacity(10, now(), out_);
  RetryRow row;
  row.position = {5, wall_, 7, 100};
  row.age_from = wall_;
  engine_->Restore("a", Ordered(), nullptr, {row}, now(), out_);
  engine_->Add("new", Ordered(), {}, now(), out_);
  Append("a", 11, 7);
  Append("a", 12, 8);
  Append("a", 13);
  Append("new", 14, 8);
  EXPECT_EQ(TakeSends(), (Sends{"a-13#1"}));
  engine_->Settled(now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-12#1", "new-14#1", "a-5#1"}));
}

TEST_F(EngineTest, DoubtEndsWithTheTimeOfOneAttempt) {
  Restart({}, 10);
  engine_->SetCapacity(10, now(), out_);
  DeliverySettings settings = Ordered();
  settings.timeout = 30s;
  engine_->Restore("a", settings, nullptr, {}, now(), out_);
  Append("a", 11, 7);
  Advance(35s - 1us);
  EXPECT_EQ(TakeSends(), Sends{});
  Advance(1us);
  EXPECT_EQ(TakeSends(), (Sends{"a-11#1"}));
}

TEST_F(EngineTest, AfterARestartAKeyGoesOnFromItsLowestEvent) {
  Restart({}, 10);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(10, now(), out_);
  // 4 was in flight, 6 and 8 were held behind it, 9 is known to the log only.
  std::vector<RetryRow> rows(2);
  rows[0].position = {6, wall_, 7, 100};
  rows[1].position = {8, wall_, 7, 100};
  for (RetryRow& row : rows) row.kind = RowKind::kHeld;
  const Cursor cursor{3, {5}};
  engine_->Restore("a", Ordered(), &cursor, rows, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  AnswerScan(7);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1"}));
  for (const Sequence s : {4, 6, 7, 8, 9, 10}) Succeed("a", s);
  EXPECT_EQ(TakeSends(), (Sends{"a-6#1", "a-7#1", "a-8#1", "a-9#1", "a-10#1"}));
}

TEST_F(EngineTest, AnEventThatMovedToTheSinkDoesNotHoldItsKey) {
  DeliverySettings settings = Ordered();
  settings.has_sink = true;
  Add("a", settings);
  Append("a", 1, 7);
  Append("a", 2, 7);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1", "a-1#2!"}));
}

TEST_F(EngineTest, OrderCanBeTurnedOnAndOff) {
  DeliverySettings settings = Ordered();
  settings.ordered = false;
  settings.in_flight_max = 2;
  Add("a", settings);
  for (Sequence s = 1; s <= 4; ++s) Append("a", s, 7);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1"}));
  settings.ordered = true;
  engine_->ChangeSettings("a", settings, now(), out_);
  Succeed("a", 2);
  EXPECT_EQ(TakeSends(), Sends{});
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
  settings.ordered = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-4#1"}));
}

}  // namespace
}  // namespace penstock::broker
