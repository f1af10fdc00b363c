// Backups of logs that are written to, checked by opening the copy.
#include "tools/penstock/backup/backup.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "libs/sqlite/connection.h"
#include "services/event-broker/storage/log_inspect.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;
using broker::Sequence;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class BackupTest : public testing::Test {
 protected:
  BackupTest() : root_(testing::TempDir() + "/backup-" + RandomHex(8)) {
    fs::create_directories(data() + "/event-broker");
    options_.folder = data() + "/event-broker/log";
    options_.segment_bytes = 16 << 10;
    options_.reserve_bytes = 4096;
    options_.dedup_entries_max = 100'000;
    auto log = broker::SegmentLog::Open(options_, broker::PosixFiles(), SystemClock());
    log_ = *std::move(log);
    auto state = sqlite::Connection::Open({.path = data() + "/event-broker/state.db"});
    state_ = *std::move(state);
    EXPECT_TRUE(state_
                    ->ExecuteScript("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER);"
                                    "INSERT INTO meta VALUES ('matched_through', 0)")
                    .ok());
  }
  ~BackupTest() override {
    log_.reset();
    state_.reset();
    fs::remove_all(root_);
  }

  std::string data() const { return root_ + "/data"; }
  std::string target() const { return root_ + "/copy"; }

  // Appends in one commit and gives the last sequence.
  Sequence Append(const std::vector<std::string>& ids) {
    std::vector<broker::AppendRequest> requests;
    for (const std::string& id : ids) {
      broker::AppendRequest request{.space = "default", .type = "t", .source = "/s", .id = id};
      request.body = broker::SharedBytes(std::string(200, 'x'));
      requests.push_back(std::move(request));
    }
    std::promise<Sequence> answer;
    const absl::Status queued =
        log_->Append(std::move(requests), [&](std::vector<broker::AppendResult> results) {
          answer.set_value(results.back().sequence);
        });
    EXPECT_TRUE(queued.ok());
    return answer.get_future().get();
  }
  // In commits of five.
  void AppendMany(const std::string& prefix, int count) {
    for (int i = 0; i < count;) {
      std::vector<std::string> ids;
      while (i < count && ids.size() < 5) ids.push_back(fmt::format("{}{}", prefix, i++));
      Append(ids);
    }
  }
  absl::StatusOr<BackupReport> Run() {
    return RunBackup({.data_dir = data(), .target = target(), .progress = {}});
  }
  // What the log in `folder` gives, by sequence.
  static std::map<Sequence, std::string> ReadAll(broker::SegmentLog& log) {
    std::map<Sequence, std::string> all;
    for (Sequence from = log.horizon(); from <= log.head();) {
      const auto result = log.Scan({.from = from});
      if (!result.ok() || result->next <= from) break;
      for (const auto& record : result->records) all[record.sequence] = std::string(record.id);
      from = result->next;
    }
    return all;
  }
  std::unique_ptr<broker::SegmentLog> OpenCopy() {
    broker::SegmentLogOptions options = options_;
    options.folder = target() + "/event-broker/log";
    auto log = broker::SegmentLog::Open(options, broker::PosixFiles(), SystemClock());
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    return log.ok() ? *std::move(log) : nullptr;
  }
  std::int64_t CopiedMatchedThrough() {
    auto state =
        sqlite::Connection::Open({.path = target() + "/event-broker/state.db", .read_only = true});
    auto statement = (*state)->Prepare("SELECT value FROM meta WHERE key = 'matched_through'");
    EXPECT_TRUE(*statement->Step());
    return statement->Int(0);
  }

  const std::string root_;
  broker::SegmentLogOptions options_;
  std::unique_ptr<broker::SegmentLog> log_;
  std::unique_ptr<sqlite::Connection> state_;
};

TEST_F(BackupTest, TheCopyHoldsEverythingAndALogStartsOnIt) {
  AppendMany("e", 300);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->head, 300u);
  EXPECT_GT(report->segments_linked, 2u);
  EXPECT_EQ(report->segments_copied, 1u);
  EXPECT_EQ(report->databases, 1u);
  EXPECT_FALSE(fs::exists(target() + "/event-broker/log/RESERVE"));
  const auto expected = ReadAll(*log_);
  auto copy = OpenCopy();
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(ReadAll(*copy), expected);
  EXPECT_THAT(copy->Health().notes, IsEmpty());
  EXPECT_THAT(copy->Health().lost, IsEmpty());
  // The two go their own ways.
  AppendMany("original", 200);
  EXPECT_EQ(ReadAll(*copy), expected);
}

TEST_F(BackupTest, LosesNothingAcknowledgedBeforeItWhileAllGoesOn) {
  AppendMany("before", 200);
  std::atomic<bool> stop = false;
  std::atomic<Sequence> acknowledged = 0;
  std::thread publisher([&] {
    for (int i = 0; !stop && i < 200'000; ++i) acknowledged = Append({fmt::format("live{}", i)});
  });
  std::thread matcher([&] {
    while (!stop) {
      // A cursor never leads the log.
      const auto through = static_cast<std::int64_t>(log_->head());
      EXPECT_TRUE(state_->Run("UPDATE meta SET value = ?", through).ok());
    }
  });
  while (acknowledged < 230) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    const Sequence before = acknowledged;
    const auto report = Run();
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    auto copy = OpenCopy();
    ASSERT_NE(copy, nullptr);
    const auto copied = ReadAll(*copy);
    EXPECT_GE(copied.size(), before);
    EXPECT_GE(copy->head(), before);
    EXPECT_EQ(copied.size(), copy->head());
    EXPECT_THAT(copy->Health().lost, IsEmpty());
    EXPECT_LE(CopiedMatchedThrough(), static_cast<std::int64_t>(copy->head()));
    for (const auto& [sequence, id] : copied) EXPECT_EQ(log_->Read(sequence)->id, id);
    copy.reset();
    const auto folder = broker::PosixFiles().OpenFolder(target() + "/event-broker/log");
    EXPECT_THAT(broker::InspectLog(**folder, {.deep = true})->findings, IsEmpty());
    fs::remove_all(target());
  }
  stop = true;
  publisher.join();
  matcher.join();
}

TEST_F(BackupTest, RetentionTakesNothingFromABackupThatRuns) {
  log_.reset();
  options_.retention.bytes = 40'000;
  log_ = *broker::SegmentLog::Open(options_, broker::PosixFiles(), SystemClock());
  AppendMany("e", 400);
  // The copy of the state finds most of the log gone that was pinned before.
  int told = 0;
  Sequence head = 0;
  const auto report =
      RunBackup({.data_dir = data(), .target = target(), .progress = [&](const std::string& what) {
                   if (what != "state.db") return;
                   ++told;
                   head = log_->head();
                   EXPECT_GT(log_->ApplyRetention()->segments_removed, 1u);
                   AppendMany("later", 300);
                 }});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(told, 1);
  auto copy = OpenCopy();
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->horizon(), 1u);
  EXPECT_EQ(copy->head(), head + 300);
  EXPECT_THAT(ReadAll(*copy), SizeIs(700));
}

TEST_F(BackupTest, CopiesAcrossFileSystemsAndLeavesNoLinksBehind) {
  struct stat here;
  struct stat there;
  ASSERT_EQ(stat(root_.c_str(), &here), 0);
  if (stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) {
    GTEST_SKIP() << "there is no second file system";
  }
  AppendMany("e", 300);
  const std::string far = "/dev/shm/penstock-backup-" + RandomHex(8);
  bool pinned = false;
  const auto report = RunBackup(
      {.data_dir = data(), .target = far, .progress = [&](const std::string& what) {
         pinned = pinned || (what == "state.db" && fs::exists(options_.folder + ".backup-pin"));
       }});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_TRUE(pinned);
  EXPECT_EQ(report->segments_linked, 0u);
  EXPECT_GT(report->segments_copied, 2u);
  EXPECT_FALSE(fs::exists(options_.folder + ".backup-pin"));
  const auto folder = broker::PosixFiles().OpenFolder(far + "/event-broker/log");
  const auto inspection = broker::InspectLog(**folder, {.deep = true});
  EXPECT_THAT(inspection->findings, IsEmpty());
  EXPECT_EQ(inspection->events(), 300u);
  fs::remove_all(far);
}

TEST_F(BackupTest, CopiesALogWhoseManifestIsLostAndCleansUpAfterAnInterruptedBackup) {
  AppendMany("e", 20);
  log_.reset();
  fs::remove(options_.folder + "/LOG_ID");
  fs::create_directories(options_.folder + ".backup-pin");
  std::ofstream(options_.folder + ".backup-pin/00000000000000000001.seg") << "left";
  ASSERT_TRUE(Run().ok());
  EXPECT_FALSE(fs::exists(options_.folder + ".backup-pin"));
  auto copy = OpenCopy();
  ASSERT_NE(copy, nullptr);
  EXPECT_THAT(ReadAll(*copy), SizeIs(20));
}

TEST_F(BackupTest, LeavesOutAWriteThatIsNotFinished) {
  AppendMany("e", 10);
  std::string newest;
  for (const auto& entry : fs::directory_iterator(options_.folder)) {
    if (entry.path().extension() == ".seg") newest = std::max(newest, entry.path().string());
  }
  std::ofstream(newest, std::ios::app | std::ios::binary) << std::string(100, 'x');
  ASSERT_TRUE(Run().ok());
  auto copy = OpenCopy();
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->Health().torn_tails_cut, 0u);
  EXPECT_THAT(ReadAll(*copy), SizeIs(10));
}

TEST_F(BackupTest, CopiesOtherFilesAndSaysWhatIsSecret) {
  AppendMany("e", 3);
  fs::create_directories(data() + "/function-manager/keys");
  const std::string key = data() + "/function-manager/keys/secret.key";
  std::ofstream(key) << "key";
  chmod(key.c_str(), 0600);
  std::ofstream(data() + "/event-broker/LOCK") << "holder";
  const auto report = Run();
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->notes, Contains(HasSubstr("secret.key")));
  struct stat info;
  ASSERT_EQ(stat((target() + "/function-manager/keys/secret.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(fs::exists(target() + "/event-broker/LOCK"));
  EXPECT_FALSE(fs::exists(target() + ".partial"));
}

TEST_F(BackupTest, RefusesWhatWouldOverwriteOrCannotBeABackup) {
  AppendMany("e", 3);
  fs::create_directories(target() + "/something");
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(
      RunBackup({.data_dir = data(), .target = data() + "/inside", .progress = {}}).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RunBackup({.data_dir = root_ + "/nowhere", .target = root_ + "/x", .progress = {}})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(root_ + "/x.partial"));
  fs::create_directories(root_ + "/empty");
  EXPECT_EQ(RunBackup({.data_dir = root_ + "/empty", .target = root_ + "/x", .progress = {}})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock::cli
