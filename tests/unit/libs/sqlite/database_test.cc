#include "libs/sqlite/database.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/errors.h"
#include "tests/unit/libs/sqlite/temp_folder.h"

namespace penstock::sqlite {
namespace {

// Holds the writer thread in a job until released, so that what comes meanwhile forms one batch.
class Gate {
 public:
  explicit Gate(Writer& writer) {
    writer.Write(
        [this](Connection&) {
          entered_.set_value();
          release_.get_future().wait();
          return absl::OkStatus();
        },
        nullptr);
    entered_.get_future().wait();
  }
  void Open() { release_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> release_;
};

class DatabaseTest : public ::testing::Test {
 protected:
  std::unique_ptr<Database> Open(std::size_t queue_max = 1000, std::size_t readers = 2,
                                 Writer::Job guard = nullptr) {
    Database::Options options;
    options.writer.guard = std::move(guard);
    options.open.path = path_;
    options.schema = {7, {"CREATE TABLE item(id INTEGER PRIMARY KEY, text TEXT)"}};
    options.writer.queue_max = queue_max;
    options.readers.connections = readers;
    auto opened = Database::Open(options);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  static Writer::Job Insert(std::int64_t id) {
    return [id](Connection& db) {
      return db.Run("INSERT INTO item VALUES(?, ?)", id, std::to_string(id));
    };
  }
  static std::int64_t Count(Database& database) {
    std::int64_t count = -1;
    const absl::Status status = database.readers().Read([&](Connection& db) -> absl::Status {
      ASSIGN_OR_RETURN(Statement select, db.Prepare("SELECT count(*) FROM item"));
      RETURN_IF_ERROR(select.Step().status());
      count = select.Int(0);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }

  TempFolder folder_;
  const std::string path_ = folder_.File("a.db");
};

TEST_F(DatabaseTest, OneFailingJobInABatchIsUndoneAlone) {
  auto database = Open();
  std::vector<std::promise<absl::Status>> results(5);
  Gate gate(database->writer());
  const auto commits_before = database->writer().commits();
  for (int i = 0; i < 5; ++i) {
    database->writer().Write(
        [i](Connection& db) -> absl::Status {
          RETURN_IF_ERROR(db.Run("INSERT INTO item VALUES(?, 'x')", i));
          if (i == 2) return absl::AbortedError("changed its mind");
          if (i == 3) throw std::runtime_error("boom");
          return absl::OkStatus();
        },
        [&results, i](absl::Status status) {
          results[static_cast<std::size_t>(i)].set_value(std::move(status));
        });
  }
  gate.Open();
  std::vector<absl::StatusCode> codes;
  for (auto& result : results) codes.push_back(result.get_future().get().code());
  EXPECT_EQ(codes,
            (std::vector{absl::StatusCode::kOk, absl::StatusCode::kOk, absl::StatusCode::kAborted,
                         absl::StatusCode::kInternal, absl::StatusCode::kOk}));
  EXPECT_EQ(Count(*database), 3);
  EXPECT_EQ(database->writer().commits() - commits_before, 2u) << "the gate, then one batch";
}

TEST_F(DatabaseTest, NothingIsWrittenWhereTheGuardRefuses) {
  std::atomic<bool> refuses = false;
  auto database = Open(1000, 2, [&refuses](Connection&) {
    return refuses ? absl::AbortedError("taken over") : absl::OkStatus();
  });
  EXPECT_TRUE(database->writer().WriteAndWait(Insert(1)).ok());
  refuses = true;
  EXPECT_EQ(database->writer().WriteAndWait(Insert(2)), absl::AbortedError("taken over"));
  EXPECT_EQ(Count(*database), 1);
  refuses = false;
  EXPECT_TRUE(database->writer().WriteAndWait(Insert(3)).ok());
  EXPECT_EQ(Count(*database), 2);
}

TEST_F(DatabaseTest, DoneRunsAfterTheCommit) {
  auto database = Open();
  std::promise<std::int64_t> seen;
  database->writer().Write(Insert(1),
                           [&](const absl::Status&) { seen.set_value(Count(*database)); });
  EXPECT_EQ(seen.get_future().get(), 1);
}

TEST_F(DatabaseTest, AFullDiskFailsTheWriteAndTheNextOneWorks) {
  auto database = Open();
  ASSERT_TRUE(database->writer()
                  .WriteAndWait(
                      [](Connection& db) { return db.ExecuteScript("PRAGMA max_page_count = 30"); })
                  .ok());
  std::promise<absl::Status> full;
  std::promise<absl::Status> after;
  {
    Gate gate(database->writer());
    database->writer().Write(
        [](Connection& db) {
          return db.Run("INSERT INTO item VALUES(1, ?)", std::string(1'000'000, 'x'));
        },
        [&](absl::Status status) { full.set_value(std::move(status)); });
    database->writer().Write(Insert(2),
                             [&](absl::Status status) { after.set_value(std::move(status)); });
    gate.Open();
    const absl::Status status = full.get_future().get();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(status), kReasonStorage);
    EXPECT_TRUE(after.get_future().get().ok());
  }
  EXPECT_EQ(Count(*database), 1);
}

TEST_F(DatabaseTest, AFullQueueRefusesAtOnce) {
  auto database = Open(/*queue_max=*/2);
  Gate gate(database->writer());
  std::atomic<int> refused = 0;
  for (int i = 0; i < 5; ++i) {
    const CallbackScope scope;  // Write never blocks.
    database->writer().Write(Insert(i), [&](const absl::Status& status) {
      if (status.code() == absl::StatusCode::kResourceExhausted) ++refused;
    });
  }
  EXPECT_EQ(refused, 3);
  gate.Open();
  database->Stop();
}

TEST_F(DatabaseTest, StopRunsWhatIsQueuedAndRefusesTheRest) {
  auto database = Open();
  std::atomic<int> stored = 0;
  for (int i = 0; i < 100; ++i) {
    database->writer().Write(Insert(i), [&](const absl::Status& status) {
      if (status.ok()) ++stored;
    });
  }
  database->Stop();
  EXPECT_EQ(stored, 100);
  EXPECT_EQ(database->writer().WriteAndWait(Insert(1000)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(database->readers().Read([](Connection&) { return absl::OkStatus(); }).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(Count(*Open()), 100);
}

TEST_F(DatabaseTest, ReadersSeeWholeTransactionsWhileAWriterWorks) {
  auto database = Open();
  std::atomic<bool> writing = true;
  std::thread writer([&] {
    for (int i = 0; i < 200; ++i) {
      const absl::Status status =
          database->writer().WriteAndWait([i](Connection& db) -> absl::Status {
            RETURN_IF_ERROR(db.Run("INSERT INTO item VALUES(?, 'a')", 2 * i));
            return db.Run("INSERT INTO item VALUES(?, 'b')", 2 * i + 1);
          });
      EXPECT_TRUE(status.ok()) << status;
    }
    writing = false;
  });
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&] {
      while (writing) EXPECT_EQ(Count(*database) % 2, 0);
    });
  }
  writer.join();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(Count(*database), 400);
}

TEST_F(DatabaseTest, AReadJobSeesOneSnapshot) {
  auto database = Open();
  const auto count = [](Connection& db) {
    auto select = db.Prepare("SELECT count(*) FROM item");
    EXPECT_TRUE(*select->Step());
    return select->Int(0);
  };
  const absl::Status status = database->readers().Read([&](Connection& db) {
    const auto before = count(db);
    EXPECT_TRUE(database->writer().WriteAndWait(Insert(1)).ok());
    EXPECT_EQ(count(db), before);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(Count(*database), 1);
}

TEST_F(DatabaseTest, AsynchronousReadsRunOnWorkers) {
  auto database = Open();
  std::promise<absl::Status> done;
  const auto caller = std::this_thread::get_id();
  {
    const CallbackScope scope;
    database->readers().ReadAsync(
        [&](Connection&) {
          EXPECT_NE(std::this_thread::get_id(), caller);
          return absl::NotFoundError("nothing there");
        },
        [&](absl::Status status) { done.set_value(std::move(status)); });
  }
  EXPECT_EQ(done.get_future().get().code(), absl::StatusCode::kNotFound);
}

TEST_F(DatabaseTest, BacksUpWhileWriting) {
  auto database = Open();
  std::atomic<bool> writing = true;
  std::thread writer([&] {
    for (int i = 0; writing; ++i) {
      EXPECT_TRUE(database->writer().WriteAndWait(Insert(i)).ok());
    }
  });
  const std::string target = folder_.File("copy.db");
  EXPECT_TRUE(database->Backup(target).ok());
  writing = false;
  writer.join();
  auto copy = Connection::Open({.path = target});
  ASSERT_TRUE(copy.ok());
  auto check = (*copy)->Prepare("PRAGMA integrity_check");
  ASSERT_TRUE(*check->Step());
  EXPECT_EQ(check->Text(0), "ok");
}

TEST_F(DatabaseTest, WhatWasAcknowledgedSurvivesAKilledProcess) {
  int acknowledged[2];
  ASSERT_EQ(pipe(acknowledged), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto database = Open();
    for (std::int64_t i = 0;; ++i) {
      if (!database->writer().WriteAndWait(Insert(i)).ok()) _exit(1);
      if (write(acknowledged[1], "x", 1) != 1) _exit(1);
    }
  }
  close(acknowledged[1]);
  std::int64_t count = 0;
  char byte;
  while (count < 50 && read(acknowledged[0], &byte, 1) == 1) ++count;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  while (read(acknowledged[0], &byte, 1) == 1) ++count;
  close(acknowledged[0]);
  ASSERT_GE(count, 50);
  EXPECT_GE(Count(*Open()), count);
}

}  // namespace
}  // namespace penstock::sqlite
