// What only a store with a file can do.
#include <gmock/gmock.h>
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

// A lock of the folder keeps a second broker away; where it does not (a network's file system), the
// later one wins.
TEST_F(SqliteStateTest, WhoOpensLaterTakesOver) {
  StateTransaction transaction;
  transaction.matched_through = 10;
  ASSERT_TRUE(Commit(transaction).ok());
  const auto later = SqliteStateStore::Open((folder_ / "state.db").string());
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_GT((*later)->epoch(), store_->epoch());
  transaction.matched_through = 20;
  const absl::Status refused = Commit(transaction);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAborted) << refused;
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("another event-broker"));
  EXPECT_EQ(Save(SampleSubscription()).code(), absl::StatusCode::kAborted);
  EXPECT_EQ((*later)->LoadDeliveryState()->matched_through, 10u);
  EXPECT_TRUE((*later)->LoadRevisions()->empty());
}

}  // namespace
}  // namespace penstock::broker
