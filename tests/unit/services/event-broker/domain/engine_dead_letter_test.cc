// Dead letters: the sink, the quota, and the way back. Groups of subscribers.
#include "tests/unit/services/event-broker/domain/engine_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

DeliverySettings WithSink() {
  DeliverySettings settings;
  settings.has_sink = true;
  settings.sink_function = "sink";
  settings.targets = {"f"};
  settings.retry.attempts_max = 2;
  settings.retry.jitter = 0;
  return settings;
}

TEST_F(EngineTest, WhatGivesUpGoesToTheSinkWithTheReason) {
  Add("a", WithSink());
  Append("a", 1);
  Fail("a", 1);
  Advance(1s);
  TakeSends();
  Fail("a", 1, 2);
  ASSERT_EQ(out_.sends.size(), 1u);
  const SendOrder order = out_.sends[0];
  EXPECT_EQ(TakeSends(), (Sends{"a-1#3!"}));
  ASSERT_TRUE(order.dead);
  EXPECT_EQ(order.dead->reason, DeadReason::kAttemptsExhausted);
  EXPECT_EQ(order.dead->attempts, 2);
  EXPECT_EQ(order.dead->log.size(), 2u);
  const StateTransaction before = Flush();
  ASSERT_FALSE(before.rows.empty());
  EXPECT_EQ(before.rows.back().second.kind, RowKind::kSink);
  Succeed("a", 1, 3);
  EXPECT_EQ(counters().sunk, 1u);
  EXPECT_EQ(counters().dead, 0u);
  const StateTransaction after = Flush();
  EXPECT_TRUE(after.dead.empty());
  EXPECT_EQ(after.rows_removed.size(), 1u);
}

TEST_F(EngineTest, AnEventThatNotEvenTheSinkTakesIsKept) {
  Add("a", WithSink());
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  for (int attempt = 2; attempt <= 11; ++attempt) {
    Fail("a", 1, attempt);
    Advance(10min);
  }
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].reason, DeadReason::kPermanent);
  EXPECT_EQ(dead[0].attempts, 1);
  EXPECT_EQ(dead[0].log.size(), 1u);
}

TEST_F(EngineTest, NotMoreEventsExpireThanTheSinkHasRowsFor) {
  EngineOptions options;
  options.rows_max = 4;
  Begin(options, 1);
  DeliverySettings settings = WithSink();
  settings.time_to_live = 5s;
  settings.paused = true;
  Add("a", settings);
  for (Sequence sequence = 1; sequence <= 20; ++sequence) Append("a", sequence);
  Advance(6s);
  settings.paused = false;
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(Progress("a").retrying, 4u);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1!"}));
  Succeed("a", 1);  // Makes room for the next.
  EXPECT_EQ(Progress("a").retrying, 4u);
  for (Sequence sequence = 2; sequence <= 20; ++sequence) Succeed("a", sequence);
  EXPECT_EQ(counters().sunk, 20u);
  EXPECT_EQ(counters().expired, 20u);
  EXPECT_FALSE(out_.wake_at && *out_.wake_at <= monotonic_);
}

TEST_F(EngineTest, AStoredSinkRowGoesOnAfterARestart) {
  Restart({}, 5);
  engine_->SetCapacity(10, now(), out_);
  RetryRow row;
  row.position = {3, wall_, 0, 100};
  row.kind = RowKind::kSink;
  row.dead_reason = DeadReason::kExpired;
  row.attempts_sent = 4;
  row.age_from = wall_;
  engine_->Restore("a", WithSink(), nullptr, {row}, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#5!"}));
}

TEST_F(EngineTest, WithoutItsSinkAnEventIsKept) {
  Add("a", WithSink());
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Finish("a", 1, 2, DeliveryOutcome::kRejected);
  DeliverySettings settings = WithSink();
  settings.has_sink = false;
  settings.sink_function.clear();
  engine_->ChangeSettings("a", settings, now(), out_);
  EXPECT_EQ(Flush().dead.at(0).reason, DeadReason::kPermanent);
}

TEST_F(EngineTest, ALaneStopsWhenItsDeadLettersAreFull) {
  EngineOptions options;
  options.dead_letters_max = 2;
  Begin(options);
  Add("a");
  Append("a", 1);
  Append("a", 2);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Finish("a", 2, 1, DeliveryOutcome::kPermanent);
  Append("a", 3);
  Flush();
  TakeSends();
  EXPECT_EQ(Progress("a").block, LaneBlock::kDeadLettersFull);
  // What is redriven goes on, and makes room.
  engine_->Redrive({{{"a", 1}, wall_, 0, 0, 100}}, 0, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1", "a-1#1*"}));
  Succeed("a", 1);
  EXPECT_EQ(Flush().dead_removed, (std::vector<DeliveryKey>{{"a", 1}}));
  Finish("a", 3, 1, DeliveryOutcome::kPermanent);
  Append("a", 4);
  EXPECT_EQ(TakeSends(), Sends{});
}

TEST_F(EngineTest, ARedrivenLetterOfAGroupIsSentToAllMembersThoughLettersAreFull) {
  EngineOptions options;
  options.dead_letters_max = 1;
  Begin(options);
  DeliverySettings settings;
  settings.space = "s";
  settings.targets = {"f", "g"};
  Add("a", settings);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Flush();
  TakeSends();
  engine_->Redrive({{{"a", 1}, wall_, 0, 0, 100}}, 0, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1*"}));
  Succeed("a", 1, 1);
  EXPECT_EQ(TakeSends().size(), 1u);
  Succeed("a", 1, 2);
  EXPECT_EQ(Flush().dead_removed, (std::vector<DeliveryKey>{{"a", 1}}));
}

TEST_F(EngineTest, BytesOfDeadLettersCountAndPurgingMakesRoom) {
  EngineOptions options;
  options.dead_letter_bytes_max = 1000;
  Begin(options);
  Add("a");
  engine_->RestoreDead("a", {1, 1000, {}}, now(), out_);
  Append("a", 1);
  EXPECT_EQ(TakeSends(), Sends{});
  engine_->Purged("a", 1, 1000, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1"}));
}

TEST_F(EngineTest, RedrivesALetterInANewSeriesOfAttempts) {
  DeliverySettings settings = ToTarget("f");
  settings.retry.attempts_max = 2;
  settings.retry.age_max = 1h;
  Add("a", settings);
  Append("a", 1);
  Finish("a", 1, 1, DeliveryOutcome::kPermanent);
  Flush();
  TakeSends();
  Advance(48h);
  EXPECT_EQ(
      engine_->Redrive({{{"a", 1}, wall_ - 48h, 0, 0}, {{"gone", 1}, wall_, 0, 0}}, 0, now(), out_),
      1u);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1*"}));
  EXPECT_EQ(Flush().rows.at(0).second.redrives, 1);
  Fail("a", 1);
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2*"}));
  Fail("a", 1, 2);
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].redrives, 1);
}

TEST_F(EngineTest, LettersOfAReplayThatHasEndedAreRedriven) {
  Restart({}, 10);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(100, now(), out_);
  DeliverySettings settings = ToTarget("f");
  settings.retry.attempts_max = 2;
  engine_->Restore("a", settings, nullptr, {}, now(), out_);
  engine_->RestoreDead("a.r", {2, 200, {}}, now(), out_);
  // At once, before the transaction that ends the replay.
  DeliveryEngine::Replay replay;
  replay.uid = "a";
  replay.replay = "r";
  replay.from = replay.to = 3;
  engine_->AddReplay(replay, now(), out_);
  AnswerScan();
  TakeSends();
  Succeed("a.r", 3);
  ASSERT_FALSE(engine_->Progress("a.r").has_value());
  EXPECT_EQ(engine_->Redrive({{{"a.r", 4}, wall_, 0, 0, 100}}, 0, now(), out_), 1u);
  EXPECT_EQ(TakeSends(), (Sends{"a.r-4#1*"}));
  StateTransaction transaction = Flush();
  EXPECT_TRUE(transaction.replays_done.contains("a.r"));
  ASSERT_EQ(transaction.rows.size(), 1u);
  EXPECT_FALSE(transaction.cursors.contains("a.r"));
  // What was meant for the replay comes late.
  engine_->SetReplayPaused("a.r", true, now(), out_);
  engine_->Remove("a.r", now(), out_);
  EXPECT_TRUE(Flush().forgotten.empty());
  EXPECT_FALSE(engine_->Find({"a.r", 4})->paused);
  // A restart with its row goes on.
  const std::vector<RetryRow> rows = {transaction.rows[0].second};
  Restart({}, 10);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(100, now(), out_);
  engine_->RestoreEndedReplay("a.r", rows, now(), out_);
  EXPECT_FALSE(engine_->Progress("a.r").has_value()) << "without its subscription";
  engine_->Restore("a", settings, nullptr, {}, now(), out_);
  engine_->RestoreEndedReplay("a.r", rows, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a.r-4#1*"}));
  Succeed("a.r", 4);
  transaction = Flush();
  EXPECT_EQ(transaction.dead_removed, (std::vector<DeliveryKey>{{"a.r", 4}}));
  EXPECT_EQ(transaction.rows_removed, (std::vector<DeliveryKey>{{"a.r", 4}}));
  EXPECT_TRUE(transaction.replays_done.empty()) << "its counts stay what they were";
  EXPECT_FALSE(engine_->Progress("a.r").has_value());
  // Another one meets nothing of it.
  EXPECT_EQ(engine_->Redrive({{{"a.r", 5}, wall_, 0, 0, 100}}, 0, now(), out_), 1u);
  EXPECT_EQ(TakeSends(), (Sends{"a.r-5#1*"}));
}

TEST_F(EngineTest, ACancelledReplayLeavesItsLettersCounted) {
  EngineOptions options;
  options.dead_letters_max = 1;
  Restart(options, 10);
  engine_->SetCapacity(100, now(), out_);
  engine_->Restore("a", {}, nullptr, {}, now(), out_);
  DeliveryEngine::Replay replay;
  replay.uid = "a";
  replay.replay = "r";
  replay.from = replay.to = 3;
  engine_->AddReplay(replay, now(), out_);
  engine_->RestoreDead("a.r", {1, 100, {}}, now(), out_);
  EXPECT_EQ(Progress("a").block, LaneBlock::kDeadLettersFull);
  EXPECT_EQ(engine_->Redrive({{{"a.r", 4}, wall_, 0, 0, 100}}, 0, now(), out_), 1u);
  EXPECT_EQ(Progress("a").block, LaneBlock::kNone);
  engine_->Remove("a.r", now(), out_);
  EXPECT_EQ(Progress("a").block, LaneBlock::kDeadLettersFull);
}

TEST_F(EngineTest, AnAdoptedCursorOlderThanTheLetterFailsNothingBeforeIt) {
  Restart({}, 10);
  engine_->Settled(now(), out_);
  engine_->SetCapacity(100, now(), out_);
  const Cursor cursor{2, {}};
  engine_->Restore("a", Ordered(OnExhausted::kDeadLetterKey), &cursor, {}, now(), out_);
  engine_->RestoreDead("a", {1, 100, {{7, 4}}}, now(), out_);
  AnswerScan(7);
  // Event 3 was done, perhaps; it is no victim of 4. What follows 4 is.
  EXPECT_EQ(TakeSends(), (Sends{"a-3#1"}));
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 6u);
  EXPECT_EQ(dead[0].key.sequence, 5u);
  EXPECT_EQ(dead[0].reason, DeadReason::kKeyFailed);
}

TEST_F(EngineTest, RedrivesAtARate) {
  Add("a");
  std::vector<DeliveryEngine::RedriveOrder> letters;
  for (Sequence s = 1; s <= 10; ++s) letters.push_back({{"a", s}, wall_, 0, 0});
  EXPECT_EQ(engine_->Redrive(letters, 2, now(), out_), 10u);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1*"}));
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#1*", "a-3#1*"}));
  EXPECT_EQ(Flush().rows.size(), 10u);
  Advance(10s);
  EXPECT_EQ(TakeSends().size(), 7u);
}

TEST_F(EngineTest, RedrivenLettersDoNotStopFreshEvents) {
  EngineOptions options;
  options.rows_max = 3;
  Begin(options);
  Add("a");
  std::vector<DeliveryEngine::RedriveOrder> letters;
  for (Sequence s = 1; s <= 10; ++s) letters.push_back({{"a", s}, wall_, 0, 0});
  engine_->Redrive(letters, 1, now(), out_);
  TakeSends();
  Append("a", 20);
  EXPECT_EQ(TakeSends(), (Sends{"a-20#1"}));
}

DeliverySettings Group(bool first_success) {
  DeliverySettings settings;
  settings.targets = {"f", "g", "h"};
  settings.first_success = first_success;
  settings.retry.attempts_max = 2;
  settings.retry.jitter = 0;
  return settings;
}

TEST_F(EngineTest, ASequenceGoesFromMemberToMember) {
  Add("a", Group(false));
  Append("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1"}));
  Succeed("a", 1);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#2@1"}));
  EXPECT_TRUE(Flush().rows.empty());  // In memory until it fails, or holds the floor.
  Fail("a", 1, 2);
  const auto rows = Flush().rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].second.member, 1);
  Advance(1s);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#3@1"}));
  Succeed("a", 1, 3);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#4@2"}));
  EXPECT_EQ(counters().succeeded, 0u);
  Succeed("a", 1, 4);
  EXPECT_EQ(counters().succeeded, 1u);
  EXPECT_EQ(Progress("a").floor, 1u);
}

TEST_F(EngineTest, ASequenceEndsWithTheMemberThatFails) {
  Add("a", Group(false));
  Append("a", 1);
  Succeed("a", 1);
  Finish("a", 1, 2, DeliveryOutcome::kPermanent);
  EXPECT_EQ(Flush().dead.size(), 1u);
  EXPECT_EQ(TakeSends(), (Sends{"a-1#1", "a-1#2@1"}));
}

TEST_F(EngineTest, FirstSuccessTriesTheNextOnlyWhenOneHasUsedUpThePolicy) {
  Add("a", Group(true));
  Append("a", 1);
  Append("a", 2);
  Succeed("a", 1);
  TakeSends();
  Fail("a", 2);
  Advance(1s);
  Fail("a", 2, 2);
  Finish("a", 2, 3, DeliveryOutcome::kPermanent);
  Finish("a", 2, 4, DeliveryOutcome::kPermanent);
  EXPECT_EQ(TakeSends(), (Sends{"a-2#2", "a-2#3@1", "a-2#4@2"}));
  const auto dead = Flush().dead;
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].log.size(), 4u);
}

TEST_F(EngineTest, AStoredRowOfAGroupGoesOnAtItsMember) {
  Restart({}, 5);
  engine_->SetCapacity(10, now(), out_);
  RetryRow row;
  row.position = {3, wall_, 0, 100};
  row.member = 2;
  row.attempts_sent = 4;
  row.age_from = wall_;
  engine_->Restore("a", Group(false), nullptr, {row}, now(), out_);
  EXPECT_EQ(TakeSends(), (Sends{"a-3#5@2"}));
}

TEST_F(EngineTest, AMemberWhoseBreakerIsOpenDoesNotHoldTheOthers) {
  DeliverySettings settings = Group(true);
  settings.retry.attempts_max = 1;
  Add("a", settings);
  for (Sequence s = 1; s <= 4; ++s) Append("a", s);
  for (Sequence s = 1; s <= 4; ++s) Finish("a", s, 1, DeliveryOutcome::kPermanent);
  for (Sequence s = 1; s <= 3; ++s) FailTarget("a", s, 2);  // The second member is ill.
  Finish("a", 4, 2, DeliveryOutcome::kPermanent);
  TakeSends();
  Append("a", 5);
  EXPECT_EQ(TakeSends(), (Sends{"a-5#1"}));
}

}  // namespace
}  // namespace penstock::broker
