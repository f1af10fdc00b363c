// Re-reading sealed segments.
#include "services/event-broker/storage/segment.h"
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ScrubTest : public LogTest {
 protected:
  ScrubTest() {
    options_.segment_bytes = 4096;
    options_.scrub_interval = hours(24);
  }

  void Flip(Sequence first, std::size_t at) {
    std::string bytes = Bytes(first);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x10);
    disk_.Replace("log", File(first), bytes);
  }
  // Steps until a pass is over.
  void ScrubAll(std::uint64_t bytes = 1 << 20) {
    const std::uint64_t passes = log_->Health().scrub.passes;
    for (int i = 0; i < 1000 && log_->Health().scrub.passes == passes; ++i) {
      ASSERT_TRUE(log_->Scrub(bytes).ok());
    }
    EXPECT_EQ(log_->Health().scrub.passes, passes + 1);
  }
};

TEST_F(ScrubTest, FindsDamageBeforeAReaderDoesAndFencesIt) {
  Open();
  AppendMany("e", 30, 300);
  clock_.Advance(hours(1));
  options_.cache_bytes_max = 0;
  Open();
  // The body of the third batch; each holds one event.
  const std::size_t batch = Bytes(1).find("e2") + 50;
  Flip(1, batch);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  notes_.clear();
  ScrubAll();
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  EXPECT_EQ(log_->Health().lost[0].first, 3u);
  EXPECT_EQ(log_->Health().lost[0].last, 3u);
  EXPECT_EQ(log_->Health().lost[0].file, File(1));
  EXPECT_EQ(log_->Health().scrub.damaged_ranges, 1u);
  EXPECT_THAT(notes_, SizeIs(1));
  EXPECT_EQ(log_->Read(3).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(log_->Read(4)->id, "e3");
  // Known damage is not counted again.
  clock_.Advance(hours(24));
  ScrubAll();
  EXPECT_EQ(log_->Health().scrub.damaged_ranges, 1u);
}

TEST_F(ScrubTest, FindsDamageAtTheEndOfASegmentsEvents) {
  Open();
  AppendMany("e", 30, 300);
  const Sequence next = *ParseSegmentFileName(disk_.Names("log").at(1));
  Flip(1, Bytes(1).rfind(fmt::format("e{}", next - 2)) + 40);
  ScrubAll();
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  EXPECT_EQ(log_->Health().lost[0].last, next - 1);
}

TEST_F(ScrubTest, ReadsNoMoreThanItMayAndEverythingInTheEnd) {
  Open();
  AppendMany("e", 60, 300);
  std::uint64_t before = 0;
  int steps = 0;
  while (log_->Health().scrub.passes == 0 && steps < 1000) {
    ASSERT_TRUE(log_->Scrub(500).ok());
    ++steps;
    const std::uint64_t read = log_->Health().scrub.bytes_read;
    // A batch is read whole.
    EXPECT_LE(read - before, 1000u);
    before = read;
  }
  EXPECT_GT(steps, 20);
  EXPECT_EQ(log_->Health().scrub.segments_verified, log_->Health().segments - 1);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
}

TEST_F(ScrubTest, RestsUntilTheIntervalIsOver) {
  Open();
  AppendMany("e", 30, 300);
  ScrubAll();
  const std::uint64_t read = log_->Health().scrub.bytes_read;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log_->Scrub(1 << 20).ok());
  EXPECT_EQ(log_->Health().scrub.bytes_read, read);
  clock_.Advance(hours(24));
  ScrubAll();
  EXPECT_EQ(log_->Health().scrub.bytes_read, 2 * read);
}

TEST_F(ScrubTest, ADamagedFooterIsReportedAndLosesNothing) {
  Open();
  AppendMany("e", 30, 300);
  Flip(1, Bytes(1).size() - 200);
  ScrubAll();
  EXPECT_EQ(log_->Health().scrub.damaged_footers, 1u);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  EXPECT_THAT(ReadAll(), SizeIs(30));
}

TEST_F(ScrubTest, ASegmentThatRetentionRemovesMeanwhileIsNoDamage) {
  options_.retention.bytes = 12'000;
  Open();
  AppendMany("e", 60, 300);
  ASSERT_TRUE(log_->Scrub(500).ok());
  ASSERT_TRUE(log_->ApplyRetention().ok());
  ScrubAll();
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  EXPECT_EQ(log_->Health().scrub.read_errors, 0u);
}

}  // namespace
}  // namespace penstock::broker
