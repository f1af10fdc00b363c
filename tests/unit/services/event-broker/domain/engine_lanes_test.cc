// Where lanes begin and end: starts, drains, replays, lost ranges.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

TEST_F(EngineTest, StartsInThePastByScans) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a", {}, 5);
  ASSERT_EQ(out_.scans.size(), 1u);
  EXPECT_EQ(out_.scans[0].from, 5u);
  EXPECT_EQ(out_.scans[0].to, 10u);
  EXPECT_EQ(engine_->lowest_needed(), 5u);
  AnswerScan();
  EXPECT_EQ(TakeSends().size(), 6u);
  Append("a", 11);
  EXPECT_EQ(TakeSends(), (Sends{"a-11#1"}));
}

TEST_F(EngineTest, AStartThatTheMatcherHasNotReachedIsScannedWhenItHas) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a", {}, 12);
  EXPECT_TRUE(out_.scans.empty());
  engine_->Matched({}, 20, now(), out_);
  ASSERT_EQ(out_.scans.size(), 1u);
  EXPECT_EQ(out_.scans[0].from, 12u);
  AnswerScan();
  EXPECT_EQ(TakeSends().size(), 9u);
  EXPECT_FALSE(Progress("a").catching_up);
}

TEST_F(EngineTest, WithoutAStartItMeetsWhatComes) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a");
  EXPECT_TRUE(out_.scans.empty());
  Append("a", 11);
  EXPECT_EQ(TakeSends(), (Sends{"a-11#1"}));
}

TEST_F(EngineTest, ALaneThatDrainsTakesNothingAboveAndSaysWhenItIsDone) {
  Add("a");
  Append("a", 1);
  DeliverySettings settings;
  settings.drain_to = 2;
  engine_->ChangeSettings("a", settings, now(), out_);
  Append("a", 2);
  Append("a", 3);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1"}));
  Succeed("a", 1);
  EXPECT_TRUE(out_.drained.empty());
  Succeed("a", 2);
  EXPECT_EQ(out_.drained, (std::vector<std::string>{"a"}));
  out_.drained.clear();
  Append("a", 4);
  EXPECT_TRUE(out_.drained.empty());
  EXPECT_EQ(Flush().cursors.at("a").floor, 2u);
  EXPECT_TRUE(out_.scans.empty());
  engine_->ChangeSettings("a", {}, now(), out_);
  ASSERT_EQ(out_.scans.size(), 1u);
  EXPECT_EQ(out_.scans[0].from, 3u);
  AnswerScan();
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1", "a-4#1"}));
}

TEST_F(EngineTest, DrainingWaitsForRetriesAndTakesBackWhatIsAbove) {
  DeliverySettings settings = ToTarget("f");
  settings.in_flight_max = 1;
  Add("a", settings);
  for (Sequence s = 1; s <= 5; ++s) Append("a", s);
  Fail("a", 1);
  settings.drain_to = 3;
  engine_->ChangeSettings("a", settings, now(), out_);
  Succeed("a", 2);
  Succeed("a", 3);
  EXPECT_TRUE(out_.drained.empty());
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-2#1", "a-3#1"}));
  Advance(1s);
  Succeed("a", 1, 2);
  EXPECT_EQ(out_.drained.size(), 1u);
  settings.drain_to = kNoSequence;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(out_.scans.at(0).from, 4u);
}

TEST_F(EngineTest, WhatWasSentAboveADrainIsNotSentAgain) {
  Add("a");
  for (Sequence s = 1; s <= 4; ++s) Append("a", s);
  Succeed("a", 4);
  DeliverySettings settings;
  settings.drain_to = 1;
  engine_->ChangeSettings("a", settings, now(), out_);
  for (Sequence s = 1; s <= 3; ++s) Succeed("a", s);
  EXPECT_EQ(out_.drained.size(), 1u);
  TakeSends();
  engine_->ChangeSettings("a", {}, now(), out_);
  AnswerScan();
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_EQ(Progress("a").floor, 4u);
}

TEST_F(EngineTest, WhatFailedAboveADrainOfAnOrderedLaneIsTriedAgainAndEndsIt) {
  DeliverySettings settings = Ordered();
  Add("a", settings);
  Append("a", 1, 7);
  Append("a", 2, 8);
  Append("a", 3, 8);
  Fail("a", 2);
  settings.drain_to = 1;
  engine_->ChangeSettings("a", settings, now(), out_);
  Succeed("a", 1);
  EXPECT_TRUE(out_.drained.empty());
  TakeSends();
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#2"}));
  Succeed("a", 2, 2);
  EXPECT_EQ(out_.drained, (std::vector<std::string>{"a"}));
  EXPECT_EQ(TakeSends(), Sends{});
  engine_->ChangeSettings("a", Ordered(), now(), out_);
  EXPECT_EQ(out_.scans.at(0).from, 2u);
  AnswerScan(8);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
}

TEST_F(EngineTest, ADrainThatEndsEarlyLeavesARetryAboveItItsOneTurn) {
  DeliverySettings settings = Ordered();
  Add("a", settings);
  Append("a", 1, 7);
  Append("a", 2, 8);
  Fail("a", 2);
  settings.drain_to = 1;
  engine_->ChangeSettings("a", settings, now(), out_);
  engine_->ChangeSettings("a", Ordered(), now(), out_);
  AnswerScan(8);
  TakeSends();
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#2"}));
  Succeed("a", 1);
  Succeed("a", 2, 2);
  EXPECT_EQ(TakeSends(), Sends{});
  EXPECT_EQ(Progress("a").floor, 2u);
}

TEST_F(EngineTest, ARestartWhileAnOrderedLaneDrainsDoesNotKeepItFromTheEnd) {
  Restart({}, 10);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(10, now(), out_);
  // Above the limit, 6 had failed once and 8 was held.
  std::vector<RetryRow> rows(2);
  rows[0].position = {6, wall_, 7, 100};
  rows[0].attempts_made = 1;
  rows[0].age_from = wall_;
  rows[1].position = {8, wall_, 9, 100};
  rows[1].kind = RowKind::kHeld;
  const Cursor cursor{4, {}};
  DeliverySettings settings = Ordered();
  settings.drain_to = 4;
  engine_->Restore("a", settings, &cursor, rows, now(), out_);
  EXPECT_TRUE(out_.drained.empty());
  EXPECT_EQ(TakeSends(), (Sends{"a-6#2"}));
  Succeed("a", 6, 2);
  EXPECT_EQ(out_.drained, (std::vector<std::string>{"a"}));
  const Cursor stopped = Flush().cursors.at("a");
  EXPECT_EQ(stopped.floor, 4u);
  EXPECT_EQ(stopped.acked, (std::vector<Sequence>{6}));
  engine_->ChangeSettings("a", Ordered(), now(), out_);
  EXPECT_EQ(out_.scans.at(0).from, 5u);
  AnswerScan(9);
  EXPECT_EQ(TakeSends(), (Sends{"a-5#1"}));
  for (const Sequence s : {5, 7, 8}) Succeed("a", s);
  EXPECT_EQ(TakeSends(), (Sends{"a-7#1", "a-8#1", "a-9#1"}));
}

TEST_F(EngineTest, ADrainedLaneStaysDrainedOverARestart) {
  Restart({}, 10);
  engine_->SetCapacity(10, now(), out_);
  DeliverySettings settings;
  settings.drain_to = 4;
  const Cursor cursor{4, {}};
  engine_->Restore("a", settings, &cursor, {}, now(), out_);
  EXPECT_TRUE(out_.scans.empty());
  EXPECT_EQ(out_.drained.size(), 1u);
  engine_->ChangeSettings("a", {}, now(), out_);
  EXPECT_EQ(out_.scans.at(0).from, 5u);
}

DeliveryEngine::Replay ReplayOf(Sequence from, Sequence to) {
  DeliveryEngine::Replay replay;
  replay.uid = "a";
  replay.replay = "r";
  replay.from = from;
  replay.to = to;
  return replay;
}

TEST_F(EngineTest, AReplayDeliversItsRangeInALaneOfItsOwnAndEnds) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a");
  engine_->AddReplay(ReplayOf(3, 5), now(), out_);
  ASSERT_EQ(out_.scans.size(), 1u);
  EXPECT_EQ(out_.scans[0].uid, "a.r");
  EXPECT_EQ(Flush().cursors.at("a.r").floor, 2u);
  AnswerScan();
  EXPECT_EQ(TakeSends(), (Sends{"a.r-3#1", "a.r-4#1", "a.r-5#1"}));
  Succeed("a.r", 3);
  Finish("a.r", 4, 1, DeliveryOutcome::kPermanent);
  const Cursor cursor = Flush().cursors.at("a.r");
  EXPECT_EQ(cursor.floor, 4u);
  EXPECT_EQ(cursor.matched, 2u);  // The third will be met again.
  EXPECT_EQ(cursor.delivered, 1u);
  EXPECT_EQ(cursor.dead, 1u);
  EXPECT_EQ(Progress("a.r").matched, 3u);
  Succeed("a.r", 5);
  const StateTransaction transaction = Flush();
  ASSERT_TRUE(transaction.replays_done.contains("a.r"));
  EXPECT_EQ(transaction.replays_done.at("a.r").delivered, 2u);
  EXPECT_EQ(transaction.replays_done.at("a.r").matched, 3u);
  EXPECT_FALSE(engine_->Progress("a.r"));
}

TEST_F(EngineTest, AReplayGoesOnAfterARestart) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  engine_->Restore("a", {}, nullptr, {}, now(), out_);
  DeliveryEngine::Replay replay = ReplayOf(3, 6);
  Cursor cursor{4, {6}};
  cursor.matched = 3;
  cursor.delivered = 3;
  replay.cursor = &cursor;
  engine_->AddReplay(replay, now(), out_);
  AnswerScan();
  EXPECT_EQ(TakeSends(), (Sends{"a.r-5#1"}));
  Succeed("a.r", 5);
  EXPECT_EQ(Flush().replays_done.at("a.r").delivered, 4u);
}

TEST_F(EngineTest, AReplayIsPausedByItselfOrWithItsSubscription) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a");
  DeliveryEngine::Replay replay = ReplayOf(3, 4);
  replay.paused = true;
  engine_->AddReplay(replay, now(), out_);
  AnswerScan();
  EXPECT_EQ(TakeSends(), Sends{});
  DeliverySettings paused;
  paused.paused = true;
  engine_->ChangeSettings("a", paused, now(), out_);
  engine_->SetReplayPaused("a.r", false, now(), out_);
  EXPECT_EQ(TakeSends(), Sends{});
  engine_->ChangeSettings("a", {}, now(), out_);
  EXPECT_EQ(TakeSends().size(), 2u);
}

TEST_F(EngineTest, AReplayHasARateBesideThatOfItsSubscription) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  DeliverySettings settings;
  settings.rate = RateLimit{100, 5};
  Add("a", settings);
  DeliveryEngine::Replay replay = ReplayOf(1, 10);
  replay.rate = RateLimit{1, 2};
  engine_->AddReplay(replay, now(), out_);
  AnswerScan();
  EXPECT_EQ(TakeSends().size(), 2u);
  for (Sequence s = 11; s <= 20; ++s) Append("a", s);
  EXPECT_EQ(TakeSends().size(), 3u);  // What the replay took is missing.
  Advance(1s);
  EXPECT_EQ(TakeSends().size(), 5u);
}

TEST_F(EngineTest, ReplaysGoWithTheirSubscription) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a");
  engine_->AddReplay(ReplayOf(3, 4), now(), out_);
  AnswerScan();
  engine_->Remove("a", now(), out_);
  EXPECT_EQ(out_.cancels.size(), 2u);
  EXPECT_EQ(engine_->in_flight(), 0u);
  const auto forgotten = Flush().forgotten;
  EXPECT_EQ(std::set<std::string>(forgotten.begin(), forgotten.end()),
            (std::set<std::string>{"a", "a.r"}));
}

TEST_F(EngineTest, ACancelledReplayLeavesItsSubscriptionAlone) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  Add("a");
  engine_->AddReplay(ReplayOf(3, 4), now(), out_);
  engine_->Remove("a.r", now(), out_);
  EXPECT_EQ(Flush().forgotten, (std::vector<std::string>{"a.r"}));
  Append("a", 11);
  EXPECT_EQ(TakeSends(), (Sends{"a-11#1"}));
}

TEST_F(EngineTest, AReplayUpToTheHeadWaitsForTheMatcher) {
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  engine_->Restore("a", {}, nullptr, {}, now(), out_);
  engine_->AddReplay(ReplayOf(9, 12), now(), out_);
  EXPECT_EQ(out_.scans.at(0).to, 10u);
  AnswerScan();
  EXPECT_TRUE(out_.scans.empty());
  engine_->Matched({}, 15, now(), out_);
  EXPECT_EQ(out_.scans.at(0).from, 11u);
  EXPECT_EQ(out_.scans.at(0).to, 12u);
}

TEST_F(EngineTest, ALostRangeIsOneDeadLetterAndTheCursorMovesPast) {
  Restart({}, 100);
  engine_->SetCapacity(100, now(), out_);
  Add("a", {}, 10);
  out_.scans.clear();
  engine_->Skipped("a", 49, now(), out_);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].reason, DeadReason::kRetention);
  EXPECT_EQ(dead[0].key, (DeliveryKey{"a", 10}));
  EXPECT_EQ(dead[0].last_sequence, 49u);
  EXPECT_EQ(Progress("a").floor, 49u);
  EXPECT_EQ(out_.scans.at(0).from, 50u);
  // An answer to the scan of before changes nothing.
  engine_->Scanned("a", {}, 50, now(), out_);
  EXPECT_EQ(Progress("a").floor, 49u);
}

TEST_F(EngineTest, WhatTheHeadLostIsADeadLetterToo) {
  DeliverySettings drains;
  drains.drain_to = 20;
  Restart({}, 10);
  engine_->SetCapacity(100, now(), out_);
  for (const std::string uid : {"a", "b"}) {
    engine_->Restore(uid, uid == "b" ? drains : DeliverySettings{}, nullptr, {}, now(), out_);
  }
  Append("a", 11);
  TakeSends();
  for (const std::string uid : {"a", "b"}) engine_->Skipped(uid, 49, now(), out_);
  engine_->Matched({}, 49, now(), out_);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 2u);
  EXPECT_EQ(dead[0].key, (DeliveryKey{"a", 12}));
  EXPECT_EQ(dead[0].last_sequence, 49u);
  // Beyond its limit nothing would have come.
  EXPECT_EQ(dead[1].key, (DeliveryKey{"b", 12}));
  EXPECT_EQ(dead[1].last_sequence, 20u);
  EXPECT_EQ(out_.drained, (std::vector<std::string>{"b"}));
  // At the head again; what was sent before goes on.
  Append("a", 50);
  EXPECT_EQ(TakeSends(), (Sends{"a-50#1"}));
  EXPECT_FALSE(Progress("a").catching_up);
  Succeed("a", 11);
  EXPECT_EQ(Progress("a").floor, 49u);
  // What is behind the limit is nothing that "b" could lose.
  engine_->Skipped("b", 60, now(), out_);
  EXPECT_TRUE(Flush().dead.empty());
}

TEST_F(EngineTest, AFunctionIsExchangedWhileCallsAreUnderWay) {
  DeliverySettings settings = ToTarget("f");
  Add("a", settings);
  Append("a", 1);
  Fail("a", 1);
  Append("a", 2);
  settings.targets = {"g"};
  engine_->ChangeSettings("a", settings, now(), out_);
  Succeed("a", 2);
  TakeSends();
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2"}));
}

TEST(LaneNameTest, NamesTheSubscriptionAndTheReplay) {
  EXPECT_EQ(ReplayLane("u1", "r1"), "u1.r1");
  EXPECT_EQ(SubscriptionOfLane("u1.r1"), "u1");
  EXPECT_EQ(ReplayOfLane("u1.r1"), "r1");
  EXPECT_EQ(SubscriptionOfLane("u1"), "u1");
  EXPECT_EQ(ReplayOfLane("u1"), "");
}

TEST(KeyHashTest, IsStableAndNeverZero) {
  EXPECT_EQ(KeyHash("order-1"), KeyHash("order-1"));
  EXPECT_NE(KeyHash("order-1"), KeyHash("order-2"));
  EXPECT_NE(KeyHash(""), 0u);
}

}  // namespace
}  // namespace penstock::broker
