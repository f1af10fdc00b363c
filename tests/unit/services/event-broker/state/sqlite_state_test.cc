// What only a store with a file can do.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

class SqliteStateTest : public testing::Test {
 protected:
  SqliteStateTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "broker-state-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    auto store = SqliteStateStore::Open((folder_ / "state.db").string());
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  ~SqliteStateTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  absl::Status Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead = {}) {
    std::promise<absl::Status> answer;
    store_->Commit(std::move(transaction), std::move(dead),
                   [&](absl::Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  SavedDeliveryState Load() { return *store_->LoadDeliveryState(); }
  absl::Status Save(const Subscription& subscription) {
    std::promise<absl::Status> answer;
    store_->SaveRevision({subscription, false, nullptr},
                         [&](absl::Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }

  std::filesystem::path folder_;
  std::unique_ptr<SqliteStateStore> store_;
};

TEST_F(SqliteStateTest, ATransactionIsWholeOrNothing) {
  StateTransaction good;
  good.matched_through = 10;
  ASSERT_TRUE(Commit(good).ok());
  // A table that is gone makes the last statement of a commit fail.
  {
    auto connection =
        sqlite::Connection::Open(sqlite::OpenOptions{.path = (folder_ / "state.db").string()});
    ASSERT_TRUE(connection.ok()) << connection.status();
    ASSERT_TRUE((*connection)->Run("DROP TABLE replays").ok());
  }
  StateTransaction bad;
  bad.matched_through = 20;
  bad.cursors["u1"] = {15, {}, 0, 0, 0};
  bad.rows = {{"u1", SampleRow(11)}};
  bad.replays_done["u1.r1"] = {};
  EXPECT_FALSE(Commit(bad, {SampleLetter(12)}).ok());
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 10u);
  EXPECT_TRUE(state.cursors.empty());
  EXPECT_TRUE(state.rows.empty());
}

TEST_F(SqliteStateTest, ABackupIsACompleteStore) {
  StateTransaction transaction;
  transaction.matched_through = 33;
  ASSERT_TRUE(Commit(transaction, {SampleLetter(1)}).ok());
  ASSERT_TRUE(Save(SampleSubscription()).ok());
  const std::string copy = (folder_ / "copy.db").string();
  ASSERT_TRUE(store_->Backup(copy).ok());
  const auto other = SqliteStateStore::Open(copy);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*other)->LoadDeliveryState()->matched_through, 33u);
  EXPECT_EQ((*other)->LoadRevisions()->size(), 1u);
}

// A whole flush of the engine, as often as it may come.
TEST_F(SqliteStateTest, AFullTransactionIsQuick) {
  constexpr int kRows = 4096;
  const auto started = std::chrono::steady_clock::now();
  constexpr int kRounds = 5;
  for (int round = 0; round < kRounds; ++round) {
    StateTransaction transaction;
    transaction.matched_through = 1'000'000;
    for (int i = 0; i < kRows; ++i) {
      transaction.rows.emplace_back("u" + std::to_string(i % 7),
                                    SampleRow(static_cast<Sequence>(round * kRows + i + 1)));
    }
    if (round > 0) {
      for (int i = 0; i < kRows; ++i) {
        transaction.rows_removed.push_back(
            {"u" + std::to_string(i % 7), static_cast<Sequence>((round - 1) * kRows + i + 1)});
      }
    }
    ASSERT_TRUE(Commit(std::move(transaction)).ok());
  }
  const auto spent = std::chrono::steady_clock::now() - started;
  const auto each = std::chrono::duration_cast<std::chrono::milliseconds>(spent) / kRounds;
  RecordProperty("milliseconds_a_transaction", static_cast<int>(each.count()));
  std::printf("%d rows a transaction: %d ms\n", kRows, static_cast<int>(each.count()));
  // Far above what it takes; below what would stall deliveries.
  EXPECT_LT(each.count(), 2000);
  EXPECT_EQ(Load().rows.size(), 7u);
}

}  // namespace
}  // namespace penstock::broker
