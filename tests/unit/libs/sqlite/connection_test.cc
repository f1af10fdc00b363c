#include "libs/sqlite/connection.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/errors.h"
#include "tests/unit/libs/sqlite/temp_folder.h"

namespace penstock::sqlite {
namespace {

constexpr std::int32_t kApplication = 0x50454e31;

Schema TwoSteps() {
  return {kApplication,
          {"CREATE TABLE item(id TEXT PRIMARY KEY, number INTEGER, data BLOB, share REAL)",
           "CREATE TABLE part(item TEXT NOT NULL REFERENCES item(id)); "
           "CREATE INDEX part_item ON part(item)"}};
}

class ConnectionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Connection> Open(const Schema& schema = TwoSteps()) {
    auto opened = Connection::OpenAndMigrate({.path = path_}, schema);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  static std::int64_t Number(Connection& connection, std::string_view sql) {
    auto statement = connection.Prepare(sql);
    EXPECT_TRUE(statement.ok()) << statement.status();
    EXPECT_TRUE(*statement->Step());
    return statement->Int(0);
  }

  TempFolder folder_;
  const std::string path_ = folder_.File("a.db");
};

TEST_F(ConnectionTest, ReturnsEveryKindOfValueAsItWasBound) {
  auto db = Open();
  const std::string binary("a\0b", 3);
  ASSERT_TRUE(db->Run("INSERT INTO item VALUES(?,?,?,?)", std::string_view("x"), std::size_t{7},
                      Blob{binary}, 0.5)
                  .ok());
  ASSERT_TRUE(
      db->Run("INSERT INTO item VALUES(?,?,?,?)", "y", std::optional<int>(), Blob{""}, nullptr)
          .ok());
  auto select = db->Prepare("SELECT id, number, data, share FROM item ORDER BY id");
  ASSERT_TRUE(select.ok());
  ASSERT_TRUE(*select->Step());
  EXPECT_EQ(select->Text(0), "x");
  EXPECT_EQ(select->Int(1), 7);
  EXPECT_EQ(select->Bytes(2), binary);
  EXPECT_EQ(select->Double(3), 0.5);
  ASSERT_TRUE(*select->Step());
  EXPECT_TRUE(select->IsNull(1));
  EXPECT_FALSE(select->IsNull(2)) << "an empty blob is not NULL";
  EXPECT_EQ(select->Bytes(2), "");
  EXPECT_TRUE(select->IsNull(3));
  EXPECT_TRUE(select->IsNull(17)) << "a column that does not exist reads as NULL";
  EXPECT_FALSE(*select->Step());
  EXPECT_FALSE(*select->Step()) << "stepping past the end does not start again";
}

TEST_F(ConnectionTest, TextWithQuotesStaysAValue) {
  auto db = Open();
  const std::string hostile = "'); DROP TABLE item; --";
  ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES(?)", hostile).ok());
  EXPECT_EQ(Number(*db, "SELECT count(*) FROM item"), 1);
}

TEST_F(ConnectionTest, BindingAParameterThatDoesNotExistIsAnErrorAtRun) {
  auto db = Open();
  const absl::Status status = db->Run("INSERT INTO item(id) VALUES(?)", "a", "b");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_NE(status.message().find("parameter 2"), absl::string_view::npos) << status;
  EXPECT_EQ(Number(*db, "SELECT count(*) FROM item"), 0);
}

TEST_F(ConnectionTest, AStatementFromTheCacheHasNoOldValues) {
  auto db = Open();
  {
    auto insert = db->Prepare("INSERT INTO item(id, number) VALUES(?, ?)");
    insert->BindAll("a", 1);
    ASSERT_TRUE(insert->Run().ok());
  }
  auto again = db->Prepare("INSERT INTO item(id, number) VALUES(?, ?)");
  again->Bind(1, "b");
  ASSERT_TRUE(again->Run().ok());
  EXPECT_EQ(Number(*db, "SELECT count(*) FROM item WHERE number IS NULL"), 1);
}

TEST_F(ConnectionTest, AReadLeftInTheMiddleDoesNotPinTheLog) {
  auto db = Open();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES(?)", std::to_string(i)).ok());
  }
  {
    auto reader = Connection::Open({.path = path_, .read_only = true});
    ASSERT_TRUE(reader.ok());
    {
      auto select = (*reader)->Prepare("SELECT id FROM item");
      ASSERT_TRUE(*select->Step());
    }
    EXPECT_TRUE(db->Checkpoint().ok());
    EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 0u);
  }
}

TEST_F(ConnectionTest, TheLogGoesIntoTheFileAfterSoManyPages) {
  auto opened = Connection::OpenAndMigrate({.path = path_, .checkpoint_pages = 8}, TwoSteps());
  ASSERT_TRUE(opened.ok()) << opened.status();
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE((*opened)->Run("INSERT INTO item(id) VALUES(?)", std::to_string(i)).ok());
  }
  // Eight pages, and what the last commit added before it looked; by default it would be 4 MB.
  EXPECT_LT(std::filesystem::file_size(path_ + "-wal"), 32u * 4096u);
}

TEST_F(ConnectionTest, MapsConstraintErrors) {
  auto db = Open();
  ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES('a')").ok());
  EXPECT_EQ(db->Run("INSERT INTO item(id) VALUES('a')").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(db->Run("INSERT INTO part(item) VALUES('none')").code(),
            absl::StatusCode::kFailedPrecondition)
      << "foreign keys are enforced";
  EXPECT_EQ(db->Run("INSERT INTO nowhere VALUES(1)").code(), absl::StatusCode::kInternal);
}

TEST_F(ConnectionTest, AnotherWriterGivesUnavailableAfterTheTimeout) {
  auto db = Open();
  ASSERT_TRUE(db->Run("BEGIN IMMEDIATE").ok());
  auto second = Connection::Open({.path = path_, .busy_timeout = std::chrono::milliseconds(10)});
  ASSERT_TRUE(second.ok()) << second.status();
  const absl::Status status = (*second)->InTransaction([] { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "");
}

TEST_F(ConnectionTest, AFullDiskIsAStorageErrorAndLeavesTheDataAlone) {
  auto db = Open();
  ASSERT_TRUE(db->ExecuteScript("PRAGMA max_page_count = 20").ok());
  const std::string big(1'000'000, 'x');
  const absl::Status status =
      db->InTransaction([&] { return db->Run("INSERT INTO item(id) VALUES(?)", big); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), kReasonStorage);
  EXPECT_FALSE(db->in_transaction());
  EXPECT_TRUE(db->Run("INSERT INTO item(id) VALUES('small')").ok());
}

TEST_F(ConnectionTest, WritingThroughAReaderIsRefused) {
  auto db = Open();
  auto reader = Connection::Open({.path = path_, .read_only = true});
  ASSERT_TRUE(reader.ok());
  const absl::Status status = (*reader)->Run("INSERT INTO item(id) VALUES('a')");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), kReasonStorage);
}

TEST_F(ConnectionTest, MigratesAnOlderFileAndKeepsItsData) {
  Schema first = TwoSteps();
  first.migrations.pop_back();
  {
    auto db = Open(first);
    ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES('kept')").ok());
  }
  auto db = Open();
  EXPECT_EQ(Number(*db, "PRAGMA user_version"), 2);
  EXPECT_EQ(Number(*db, "SELECT count(*) FROM item WHERE id = 'kept'"), 1);
  EXPECT_TRUE(db->Run("INSERT INTO part(item) VALUES('kept')").ok());
}

TEST_F(ConnectionTest, AFailedMigrationLeavesThePreviousVersion) {
  { Open(); }
  Schema broken = TwoSteps();
  broken.migrations.push_back("CREATE TABLE extra(a); INSERT INTO nowhere VALUES(1)");
  const auto opened = Connection::OpenAndMigrate({.path = path_}, broken);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find(path_), absl::string_view::npos);
  auto db = Open();
  EXPECT_EQ(Number(*db, "PRAGMA user_version"), 2);
  EXPECT_EQ(Number(*db, "SELECT count(*) FROM sqlite_master WHERE name = 'extra'"), 0);
}

TEST_F(ConnectionTest, RefusesANewerFileUntouched) {
  {
    auto db = Open();
    ASSERT_TRUE(db->ExecuteScript("PRAGMA user_version = 9").ok());
  }
  const auto before = std::filesystem::last_write_time(path_);
  const auto opened = Connection::OpenAndMigrate({.path = path_}, TwoSteps());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(opened.status()), "SCHEMA_TOO_NEW");
  EXPECT_NE(opened.status().message().find("9"), absl::string_view::npos);
  EXPECT_EQ(std::filesystem::last_write_time(path_), before);
}

TEST_F(ConnectionTest, RefusesAnotherApplicationsFile) {
  {
    auto other = Connection::Open({.path = path_});
    ASSERT_TRUE((*other)->ExecuteScript("CREATE TABLE theirs(a)").ok());
  }
  const auto opened = Connection::OpenAndMigrate({.path = path_}, TwoSteps());
  EXPECT_EQ(ReasonOf(opened.status()), "FOREIGN_DATABASE");
}

TEST_F(ConnectionTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path_) << std::string(4096, 'z');
  const auto opened = Connection::OpenAndMigrate({.path = path_}, TwoSteps());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << opened.status();
}

TEST_F(ConnectionTest, NamesThePathWhenTheFolderIsMissing) {
  const auto opened = Connection::Open({.path = folder_.File("no/such.db")});
  EXPECT_EQ(ReasonOf(opened.status()), kReasonStorage) << opened.status();
  EXPECT_NE(opened.status().message().find("no/such.db"), absl::string_view::npos);
}

TEST_F(ConnectionTest, BackupIsACompleteDatabaseAndOverwritesNothing) {
  auto db = Open();
  ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES('a')").ok());
  const std::string target = folder_.File("copy.db");
  ASSERT_TRUE(db->Backup(target).ok());
  ASSERT_TRUE(db->Run("INSERT INTO item(id) VALUES('later')").ok());
  auto copy = Connection::OpenAndMigrate({.path = target}, TwoSteps());
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Number(**copy, "SELECT count(*) FROM item"), 1);
  EXPECT_EQ(db->Backup(target).code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(ConnectionTest, BlockingInAReactionAborts) {
  auto db = Open();
  EXPECT_DEATH(
      {
        const CallbackScope scope;
        db->Run("SELECT 1").IgnoreError();
      },
      "sqlite");
}

}  // namespace
}  // namespace penstock::sqlite
