// Failing syncs and reads, full and read-only disks.
#include "services/event-broker/storage/log_reader.h"
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class LogFailureTest : public LogTest {};

TEST_F(LogFailureTest, AFailedSyncIsFinalUntilReopened) {
  Open();
  AppendMany("e", 2);
  const std::size_t durable = Bytes(1).size();
  disk_.FailSyncs(1);
  const auto results = Append({Event("bad"), Event("bad"), Event("e0", std::string(100, 'x'))});
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(results[0].status), kReasonLogFailed);
  // The duplicate of an event of the failed commit fails too; that of a durable one stands.
  EXPECT_EQ(results[1].verdict, AppendVerdict::kFailed);
  EXPECT_EQ(results[2].verdict, AppendVerdict::kDuplicate);
  const std::uint64_t changes = disk_.changes();
  EXPECT_EQ(ReasonOf(log_->Append({Event("x")}, nullptr)), kReasonLogFailed);
  EXPECT_EQ(disk_.changes(), changes);
  EXPECT_FALSE(log_->Health().writable);
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));

  ASSERT_TRUE(log_->Reopen().ok());
  EXPECT_EQ(Bytes(1).size(), durable);
  EXPECT_TRUE(log_->Health().writable);
  EXPECT_EQ(AppendOne(Event("bad")).sequence, 3u);
  EXPECT_EQ(AppendOne(Event("more")).sequence, 4u);
  // What was acknowledged since survives a power cut, though the failed sync dropped pages.
  disk_.Restart();
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "bad", "more"));
  EXPECT_THAT(log_->Health().lost, IsEmpty());
}

TEST_F(LogFailureTest, AppendsThatWaitWhenASyncFailsAreRefused) {
  options_.batch_bytes_max = options_.record_bytes_max = 2000;
  Open();
  AppendMany("e", 1);
  disk_.FailSyncs(1);
  std::vector<std::string> reasons;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(log_->Append({Event(fmt::format("{}", i), std::string(1500, 'x'))},
                             [&](std::vector<AppendResult> results) {
                               reasons.push_back(ReasonOf(results[0].status));
                             })
                    .ok());
  }
  while (log_->Pump()) {
  }
  EXPECT_THAT(reasons,
              ElementsAre(kReasonLogFailed, kReasonLogFailed, kReasonLogFailed, kReasonLogFailed));
}

TEST_F(LogFailureTest, AProcessThatRestartsAfterAFailedSyncDoesNotTrustThePageCache) {
  Open();
  AppendMany("e", 1);
  disk_.FailSyncs(1);
  EXPECT_EQ(AppendOne(Event("unsure", std::string(3000, 'x'))).verdict, AppendVerdict::kFailed);
  // The next process reads the batch from the cache, so it counts; it must then also survive a cut.
  Open();
  const std::vector<std::string> seen = ReadAll();
  AppendMany("after", 1);
  disk_.Restart();
  Open();
  std::vector<std::string> expected = seen;
  expected.push_back("after0");
  EXPECT_EQ(ReadAll(), expected);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
}

TEST_F(LogFailureTest, AFailedSyncWhileSealingIsFinalToo) {
  options_.segment_bytes = 4096;
  Open();
  while (Bytes(1).size() < 4096) AppendMany(fmt::format("{}-", Bytes(1).size()), 1, 500);
  const Sequence head = log_->head();
  disk_.FailSyncs(1);
  EXPECT_EQ(ReasonOf(AppendOne(Event("x")).status), kReasonLogFailed);
  ASSERT_TRUE(log_->Reopen().ok());
  EXPECT_EQ(AppendOne(Event("x")).sequence, head + 1);
  EXPECT_EQ(log_->Health().segments, 2u);
  disk_.Restart();
  Open();
  EXPECT_EQ(ReadAll().size(), head + 1);
}

TEST_F(LogFailureTest, AFailedReadIsAnErrorAndLosesNothing) {
  Open();
  AppendMany("e", 3);
  Open();  // What is read comes from the file, not from the cache of recent batches.
  disk_.FailReads(1);
  EXPECT_EQ(log_->Scan({}).status().code(), absl::StatusCode::kInternal);
  disk_.FailReads(1);
  EXPECT_EQ(log_->Read(2).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "e2"));
}

TEST_F(LogFailureTest, WhatFailsToBeReadEachTimeIsPassedInTheEnd) {
  Open();
  AppendMany("e", 3);
  Open();
  // Those of before do not count once it could be read.
  disk_.FailReads(LogReader::kReadsMax - 1);
  for (int i = 1; i < LogReader::kReadsMax; ++i) EXPECT_FALSE(log_->Scan({}).ok());
  EXPECT_TRUE(log_->Scan({}).ok());
  disk_.FailReads(LogReader::kReadsMax);
  int failed = 0;
  while (failed < 100 && !log_->Scan({}).ok()) ++failed;
  EXPECT_EQ(failed, LogReader::kReadsMax - 1);
  EXPECT_THAT(log_->Health().lost, testing::SizeIs(1));
}

TEST_F(LogFailureTest, AFullDiskTakesTheWriteBackAndRecoversByItself) {
  options_.reserve_bytes = 4096;
  Open();
  AppendMany("e", 2);
  const std::uint64_t durable = Bytes(1).size();
  disk_.SetCapacity(disk_.used() + 300);
  const AppendResult failed = AppendOne(Event("big", std::string(1000, 'x')));
  EXPECT_EQ(failed.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(failed.status), kReasonDiskFull);
  EXPECT_EQ(Bytes(1).size(), durable);
  EXPECT_TRUE(disk_.Contents("log", "RESERVE").empty());
  EXPECT_EQ(ReasonOf(log_->Append({Event("x")}, nullptr)), kReasonDiskFull);
  // The space that the reserve gave back is not for appends, though they would fit.
  disk_.SetCapacity(disk_.used() + 2000);
  clock_.Advance(seconds(2));
  EXPECT_EQ(ReasonOf(AppendOne(Event("x")).status), kReasonDiskFull);
  disk_.SetCapacity(std::nullopt);
  EXPECT_EQ(ReasonOf(log_->Append({Event("x")}, nullptr)), kReasonDiskFull);
  clock_.Advance(seconds(2));
  EXPECT_EQ(AppendOne(Event("big")).sequence, 3u);
  EXPECT_TRUE(log_->Health().writable);
  EXPECT_EQ(disk_.Contents("log", "RESERVE").size(), 4096u);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "big"));
}

TEST_F(LogFailureTest, SpaceThatCannotBeSetAsideIsAFullDiskAndIsTriedAgain) {
  options_.set_aside_bytes = 10'000;
  options_.segment_bytes = 100'000;
  Open();
  AppendMany("e", 1);
  disk_.SetCapacity(disk_.used() + 100);
  // What is set aside already can still be used.
  EXPECT_EQ(AppendOne(Event("fits", std::string(5'000, 'x'))).sequence, 2u);
  EXPECT_EQ(ReasonOf(AppendOne(Event("big", std::string(6'000, 'x'))).status), kReasonDiskFull);
  disk_.SetCapacity(std::nullopt);
  clock_.Advance(seconds(2));
  EXPECT_EQ(AppendOne(Event("big")).sequence, 3u);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "fits", "big"));
}

TEST_F(LogFailureTest, ADiskThatIsFullAtTheStartServesReads) {
  options_.reserve_bytes = 4096;
  Open();
  AppendMany("e", 2);
  log_.reset();
  disk_.Remove("log", "RESERVE");
  disk_.SetCapacity(disk_.used() + 100);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  EXPECT_EQ(ReasonOf(log_->Append({Event("x")}, nullptr)), kReasonDiskFull);
  disk_.SetCapacity(std::nullopt);
  ASSERT_TRUE(log_->Reopen().ok());
  EXPECT_EQ(AppendOne(Event("x")).sequence, 3u);
}

TEST_F(LogFailureTest, AFullDiskWhileSealingLosesNothing) {
  options_.segment_bytes = 4096;
  Open();
  while (Bytes(1).size() < 4096) AppendMany(fmt::format("{}-", Bytes(1).size()), 1, 500);
  const Sequence head = log_->head();
  disk_.SetCapacity(disk_.used() + 10);
  EXPECT_EQ(ReasonOf(AppendOne(Event("x")).status), kReasonDiskFull);
  disk_.SetCapacity(std::nullopt);
  clock_.Advance(seconds(2));
  EXPECT_EQ(AppendOne(Event("x")).sequence, head + 1);
  Open();
  EXPECT_EQ(ReadAll().size(), head + 1);
}

TEST_F(LogFailureTest, AReadOnlyFolderServesReads) {
  Open();
  AppendMany("e", 2);
  log_.reset();
  const std::string torn = Bytes(1) + "torn";
  disk_.Replace("log", File(1), torn);
  disk_.SetReadOnly(true);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  const absl::Status refused = log_->Append({Event("x")}, nullptr);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused), kReasonReadOnly);
  EXPECT_EQ(Bytes(1), torn);
  log_.reset();
  options_.folder = "empty";
  EXPECT_EQ(TryOpen().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LogFailureTest, OptionsAreChecked) {
  options_.segment_bytes = 1;
  options_.dedup_entries_max = 0;
  const absl::Status refused = TryOpen();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldViolationsOf(refused).size(), 2u);
}

}  // namespace
}  // namespace penstock::broker
