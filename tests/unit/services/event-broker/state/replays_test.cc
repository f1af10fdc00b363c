#include "libs/base/status.h"
#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

using Texts = std::vector<std::string>;

class ReplaysTest : public StateTest {
 protected:
  static StoredReplay Replay(const std::string& replay, const std::string& uid = "u1") {
    StoredReplay stored;
    stored.uid = uid;
    stored.replay = replay;
    stored.from = 5;
    stored.to = 500;
    stored.rate_per_second = 20;
    stored.create_time = FromUnixMicros(1'700'000'000'000'000);
    return stored;
  }
  absl::Status SaveReplay(const StoredReplay& replay) {
    return Wait([&](auto done) { store_->SaveReplay(replay, done); });
  }
  absl::StatusOr<StoredReplay> Set(const std::string& replay, ReplayState state) {
    return WaitFor<StoredReplay>([&](auto done) {
      store_->SetReplayState("u1", replay, state, FromUnixMicros(1'700'000'009'000'000), done);
    });
  }
  absl::StatusOr<StoredReplay> GetReplay(const std::string& replay) {
    return WaitFor<StoredReplay>([&](auto done) { store_->GetReplay("u1", replay, done); });
  }
  absl::StatusOr<std::vector<StoredReplay>> ListReplays(const std::string& after,
                                                        std::size_t limit) {
    return WaitFor<std::vector<StoredReplay>>(
        [&](auto done) { store_->ListReplays("u1", after, limit, done); });
  }
  static Texts NamesOf(const std::vector<StoredReplay>& replays) {
    Texts names;
    for (const StoredReplay& replay : replays) names.push_back(replay.uid + "." + replay.replay);
    return names;
  }
};
PENSTOCK_FOR_ALL_STORES(ReplaysTest);

TEST_P(ReplaysTest, ARunningOneIsFoundAgainWithItsProgress) {
  ASSERT_TRUE(SaveReplay(Replay("r1")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(SaveReplay(Replay("r1"))));
  StateTransaction transaction;
  transaction.cursors["u1.r1"] = {77, {80}, 9, 6, 1};
  transaction.rows = {{"u1.r1", SampleRow(60)}};
  ASSERT_TRUE(Commit(transaction).ok());
  Reopen();
  const auto replays = store_->LoadReplays();
  ASSERT_EQ(replays->size(), 1u);
  const StoredReplay& replay = replays->front();
  EXPECT_EQ(replay.from, 5u);
  EXPECT_EQ(replay.to, 500u);
  EXPECT_EQ(replay.rate_per_second, 20);
  EXPECT_EQ(replay.state, ReplayState::kRunning);
  EXPECT_EQ(replay.create_time, Replay("r1").create_time);
  EXPECT_EQ(replay.end_time, std::nullopt);
  EXPECT_EQ(replay.progress.floor, 77u);
  EXPECT_EQ(replay.progress.acked, (std::vector<Sequence>{80}));
  EXPECT_EQ(replay.progress.matched, 9u);
  EXPECT_EQ(Load().rows.at("u1.r1").size(), 1u);
}

TEST_P(ReplaysTest, OneThatIsDoneKeepsItsCounts) {
  ASSERT_TRUE(SaveReplay(Replay("r1")).ok());
  StateTransaction running;
  running.cursors["u1.r1"] = {77, {}, 9, 6, 1};
  ASSERT_TRUE(Commit(running).ok());
  StateTransaction done;
  done.replays_done["u1.r1"] = {500, {}, 30, 28, 2};
  ASSERT_TRUE(Commit(done).ok());
  EXPECT_TRUE(store_->LoadReplays()->empty());
  EXPECT_TRUE(Load().cursors.empty());
  const auto replay = GetReplay("r1");
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_EQ(replay->state, ReplayState::kDone);
  EXPECT_EQ(replay->end_time, clock_.Wall());
  EXPECT_EQ(replay->progress.floor, 500u);
  EXPECT_EQ(replay->progress.matched, 30u);
  EXPECT_EQ(replay->progress.delivered, 28u);
  EXPECT_EQ(replay->progress.dead, 2u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Set("r1", ReplayState::kPaused).status()));
}

TEST_P(ReplaysTest, LettersOfOneThatEndsMayBeRedrivenWithIt) {
  for (const bool cancelled : {false, true}) {
    const std::string replay = cancelled ? "r2" : "r1";
    const std::string lane = "u1." + replay;
    ASSERT_TRUE(SaveReplay(Replay(replay)).ok());
    StateTransaction running;
    running.cursors[lane] = {77, {}, 9, 6, 1};
    running.rows = {{lane, SampleRow(78)}};
    ASSERT_TRUE(Commit(running).ok());
    StateTransaction end;
    if (cancelled) {
      end.forgotten = {lane};
    } else {
      end.replays_done[lane] = {500, {}, 30, 28, 2};
    }
    end.rows = {{lane, SampleRow(90)}};
    ASSERT_TRUE(Commit(end).ok());
    const SavedDeliveryState state = Load();
    EXPECT_FALSE(state.cursors.contains(lane));
    ASSERT_EQ(state.rows.at(lane).size(), 1u) << lane;
    EXPECT_EQ(state.rows.at(lane)[0].position.sequence, 90u);
  }
}

TEST_P(ReplaysTest, ACancelledOneKeepsItsLastProgress) {
  ASSERT_TRUE(SaveReplay(Replay("r1")).ok());
  StateTransaction running;
  running.cursors["u1.r1"] = {77, {}, 9, 6, 1};
  ASSERT_TRUE(Commit(running).ok());
  EXPECT_EQ(Set("r1", ReplayState::kPaused)->state, ReplayState::kPaused);
  EXPECT_EQ(store_->LoadReplays()->front().state, ReplayState::kPaused);
  const auto cancelled = Set("r1", ReplayState::kCancelled);
  EXPECT_EQ(cancelled->end_time, FromUnixMicros(1'700'000'009'000'000));
  StateTransaction forgotten;
  forgotten.forgotten = {"u1.r1"};
  ASSERT_TRUE(Commit(forgotten).ok());
  EXPECT_TRUE(Load().cursors.empty());
  EXPECT_EQ(GetReplay("r1")->progress.floor, 77u);
  EXPECT_EQ(GetReplay("r1")->progress.delivered, 6u);
  EXPECT_TRUE(absl::IsNotFound(Set("none", ReplayState::kPaused).status()));
  EXPECT_TRUE(absl::IsNotFound(GetReplay("none").status()));
}

TEST_P(ReplaysTest, ListsComeNewestFirstInPages) {
  for (const char* replay : {"b", "c", "a"}) ASSERT_TRUE(SaveReplay(Replay(replay)).ok());
  ASSERT_TRUE(SaveReplay(Replay("z", "u2")).ok());
  EXPECT_EQ(NamesOf(*ListReplays("", 2)), (Texts{"u1.a", "u1.c"}));
  EXPECT_EQ(NamesOf(*ListReplays("c", 2)), (Texts{"u1.b"}));
  EXPECT_EQ(FieldViolationsOf(ListReplays("z", 2).status()).at(0).field, "pageToken");
}

TEST_P(ReplaysTest, EndedOnesArePruned) {
  for (const char* replay : {"a", "b"}) ASSERT_TRUE(SaveReplay(Replay(replay)).ok());
  ASSERT_TRUE(Set("a", ReplayState::kCancelled).ok());
  const auto prune = [&](std::int64_t micros) {
    return Wait([&](auto done) { store_->PruneReplays(FromUnixMicros(micros), done); });
  };
  ASSERT_TRUE(prune(1'700'000'009'000'000).ok());
  EXPECT_EQ(ListReplays("", 9)->size(), 2u);
  ASSERT_TRUE(prune(1'700'000'009'000'001).ok());
  EXPECT_EQ(NamesOf(*ListReplays("", 9)), (Texts{"u1.b"}));
}

TEST_P(ReplaysTest, TheyGoWithTheirSubscription) {
  ASSERT_TRUE(SaveReplay(Replay("r1")).ok());
  ASSERT_TRUE(SaveReplay(Replay("r1", "u10")).ok());
  StateTransaction transaction;
  transaction.cursors["u1.r1"] = {77, {}, 9, 6, 1};
  transaction.cursors["u10.r1"] = {78, {}, 9, 6, 1};
  transaction.rows = {{"u1.r1", SampleRow(60)}};
  ASSERT_TRUE(Commit(transaction).ok());
  StateTransaction forgotten;
  forgotten.forgotten = {"u1"};
  ASSERT_TRUE(Commit(forgotten).ok());
  EXPECT_EQ(NamesOf(*store_->LoadReplays()), (Texts{"u10.r1"}));
  EXPECT_EQ(Load().cursors.size(), 1u);
  EXPECT_TRUE(Load().rows.empty());
}

}  // namespace
}  // namespace penstock::broker
