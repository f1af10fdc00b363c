// Repairing a log from outside.
#include "libs/base/crc32c.h"
#include "services/event-broker/storage/wire.h"
#include "tests/unit/services/event-broker/storage/surgery_fixture.h"

namespace penstock::broker {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class RepairTest : public SurgeryTest {
 protected:
  // After a repair only ranges that are lost for good may be told.
  void ExpectSettled() {
    for (const Finding& finding : Inspect().findings) {
      EXPECT_EQ(finding.kind, FindingKind::kLostRange) << finding.Text();
    }
    const auto again = Repair();
    ASSERT_TRUE(again.ok());
    EXPECT_THAT(again->actions, IsEmpty());
  }
};

TEST_F(RepairTest, LeavesAnIntactLogAlone) {
  Fill();
  const auto before = Snapshot();
  const auto report = Repair();
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->actions, IsEmpty());
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(RepairTest, ADryRunSaysEverythingAndChangesNothing) {
  Fill();
  Flip(1, Offsets(Bytes(1)).at(2) + 100);
  const Sequence newest = Segments().back();
  disk_.Replace("log", File(newest), Bytes(newest) + std::string(77, 'x'));
  const auto before = Snapshot();
  const auto report = Repair(/*dry_run=*/true);
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->actions, ElementsAre(HasSubstr("sequences 3 to 3"), HasSubstr("77 bytes")));
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(RepairTest, MovesDamagedBytesAsideWithANoteAndServesTheRest) {
  Fill();
  const std::string whole = Bytes(1);
  const std::vector<std::size_t> offsets = Offsets(whole);
  Flip(1, offsets.at(2) + 100);
  Flip(1, offsets.at(5) + 3);
  const std::string damaged = Bytes(1);
  ASSERT_TRUE(Repair().ok());
  const std::string aside = fmt::format("{}.{}.corrupt", File(1), offsets[2]);
  EXPECT_EQ(disk_.Contents("log", aside), damaged.substr(offsets[2], offsets[3] - offsets[2]));
  EXPECT_THAT(disk_.Contents("log", aside + ".txt"), HasSubstr("sequences 3 to 3"));
  ExpectSettled();
  Open();
  EXPECT_THAT(log_->Health().notes, ElementsAre(HasSubstr("3 to 3"), HasSubstr("6 to 6")));
  const std::vector<std::string> all = ReadAll();
  EXPECT_THAT(all, SizeIs(60));
  EXPECT_THAT(all, Contains("lost 3-3"));
  EXPECT_THAT(all, Contains("lost 6-6"));
  EXPECT_EQ(log_->Read(3).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(AppendOne(Event("new")).sequence, 61u);
  // The fence stays, also after another start.
  Open();
  EXPECT_THAT(log_->Health().lost, SizeIs(2));
}

TEST_F(RepairTest, KeepsTheBytesOfATornTailWithoutTheSpaceSetAsideBehindIt) {
  Fill();
  const Sequence newest = Segments().back();
  const std::string whole = Bytes(newest);
  disk_.Replace("log", File(newest), whole + "torn" + std::string(2000, '\0'));
  ASSERT_TRUE(Repair().ok());
  EXPECT_EQ(Bytes(newest), whole);
  EXPECT_EQ(disk_.Contents("log", fmt::format("{}.{}.corrupt", File(newest), whole.size())),
            "torn");
  ExpectSettled();
}

TEST_F(RepairTest, CutsATornTailAndKeepsItsBytes) {
  Fill();
  const Sequence newest = Segments().back();
  const std::string whole = Bytes(newest);
  disk_.Replace("log", File(newest), whole + "torn");
  ASSERT_TRUE(Repair().ok());
  EXPECT_EQ(Bytes(newest), whole);
  EXPECT_EQ(disk_.Contents("log", fmt::format("{}.{}.corrupt", File(newest), whole.size())),
            "torn");
  ExpectSettled();
}

TEST_F(RepairTest, WritesFootersAndTheManifestAgain) {
  Fill();
  const auto before = Snapshot();
  const std::vector<Sequence> segments = Segments();
  ASSERT_GE(segments.size(), 4u);
  disk_.Replace("log", File(1), Bytes(1).substr(0, Bytes(1).size() - 60));
  Flip(segments[1], Bytes(segments[1]).size() - 200);
  disk_.Replace("log", "LOG_ID", "rubbish");
  ASSERT_TRUE(Repair().ok());
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(RepairTest, ASegmentThatLostItsEndStaysAFence) {
  Fill();
  const std::vector<Sequence> segments = Segments();
  const std::vector<std::size_t> offsets = Offsets(Bytes(1));
  disk_.Replace("log", File(1), Bytes(1).substr(0, offsets.at(3) + 50));
  ASSERT_TRUE(Repair().ok());
  ExpectSettled();
  EXPECT_THAT(disk_.Names("log"), Contains(fmt::format("{}.{}.corrupt", File(1), offsets[3])));
  Open();
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  EXPECT_EQ(log_->Health().lost[0].first, 4u);
  EXPECT_EQ(log_->Health().lost[0].last, segments[1] - 1);
}

TEST_F(RepairTest, ASegmentOfRubbishStaysAFence) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    options_.folder = "log";
    Fill();
    const auto before = Snapshot();
    const std::vector<Sequence> segments = Segments();
    const Sequence chosen = segments.at(index);
    const std::string rubbish(5000, '?');
    disk_.Replace("log", File(chosen), rubbish);
    ASSERT_TRUE(Repair().ok());
    ExpectSettled();
    EXPECT_EQ(disk_.Contents("log", File(chosen) + ".0.corrupt"), rubbish);
    Open();
    ASSERT_THAT(log_->Health().lost, SizeIs(1));
    EXPECT_EQ(log_->Health().lost[0].first, chosen);
    EXPECT_EQ(log_->Health().lost[0].last, segments[index + 1] - 1);
    EXPECT_EQ(log_->horizon(), 1u);
    log_.reset();
    for (const auto& [name, bytes] : Snapshot()) disk_.Remove("log", name);
  }
}

TEST_F(RepairTest, SequencesThatWereGivenOutAreNotGivenOutAgain) {
  // The newest segment is sealed: the power went before the next one was begun.
  Fill();
  const std::vector<Sequence> segments = Segments();
  disk_.Remove("log", File(segments.back()));
  const Sequence newest = segments[segments.size() - 2];
  const std::vector<std::size_t> offsets = Offsets(Bytes(newest));
  Flip(newest, offsets.back() + 100);
  ASSERT_TRUE(Repair().ok());
  ExpectSettled();
  Open();
  EXPECT_EQ(log_->head(), segments.back() - 1);
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  EXPECT_EQ(AppendOne(Event("new")).sequence, segments.back());
}

TEST_F(RepairTest, MovesAForeignSegmentAway) {
  Fill();
  const std::vector<Sequence> segments = Segments();
  const std::string foreign = Bytes(segments.at(1));
  // Of another log: it has another id.
  SegmentLogOptions other = options_;
  other.folder = "other";
  auto log = SegmentLog::Open(other, disk_, clock_);
  ASSERT_TRUE(log.ok());
  log->reset();
  for (const auto& [name, bytes] : Snapshot()) {
    if (name != "LOG_ID") disk_.Replace("other", name, bytes);
  }
  const auto folder = disk_.OpenFolder("other");
  const auto report = RepairLog(**folder, clock_, {.dry_run = false, .progress = {}});
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_THAT(report->actions, Contains(HasSubstr("belongs to another log")));
  EXPECT_EQ(disk_.Contents("other", File(segments[1]) + ".0.corrupt"), foreign);
  ASSERT_TRUE(SegmentLog::Open(other, disk_, clock_).ok());
}

TEST_F(RepairTest, RefusesANewerFormat) {
  Fill();
  const Sequence newest = Segments().back();
  std::string bytes = Bytes(newest);
  const std::size_t last = Offsets(bytes).back();
  Store(bytes.data() + last + 4, std::uint16_t{2});
  Store(bytes.data() + last + 84, Crc32c(std::string_view(bytes).substr(last, 84)));
  disk_.Replace("log", File(newest), bytes);
  const std::uint64_t changes = disk_.changes();
  EXPECT_EQ(Repair().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(disk_.changes(), changes);
}

TEST_F(RepairTest, APowerCutAnywhereLeavesALogThatCanBeRepaired) {
  Fill();
  Flip(1, Offsets(Bytes(1)).at(2) + 100);
  const Sequence second = Segments().at(1);
  disk_.Replace("log", File(second), Bytes(second).substr(0, Bytes(second).size() - 60));
  const Sequence newest = Segments().back();
  disk_.Replace("log", File(newest), Bytes(newest) + "torn");
  const auto damaged = Snapshot();
  for (std::uint64_t cut = 1;; ++cut) {
    disk_.CutPowerAfter(cut);
    const bool completed = Repair().ok() && disk_.powered();
    disk_.Restart();
    ASSERT_TRUE(Repair().ok()) << cut;
    ExpectSettled();
    Open();
    EXPECT_THAT(log_->Health().lost, SizeIs(1)) << cut;
    EXPECT_EQ(log_->head(), 60u) << cut;
    EXPECT_THAT(ReadAll(), SizeIs(60)) << cut;
    log_.reset();
    EXPECT_THAT(disk_.Contents("log", fmt::format("{}.{}.corrupt", File(1),
                                                  Offsets(damaged.at(File(1))).at(1) * 2)),
                Not(IsEmpty()))
        << cut;
    if (completed) break;
    for (const auto& [name, bytes] : Snapshot()) disk_.Remove("log", name);
    for (const auto& [name, bytes] : damaged) disk_.Replace("log", name, bytes);
    ASSERT_LT(cut, 200u);
  }
}

}  // namespace
}  // namespace penstock::broker
