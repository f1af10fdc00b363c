// Recovery after byte surgery on the files.
#include "libs/base/crc32c.h"
#include "services/event-broker/storage/batch_format.h"
#include "services/event-broker/storage/wire.h"
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RecoveryTest : public LogTest {
 protected:
  // The offsets of the batches in a segment's bytes.
  static std::vector<std::size_t> Offsets(const std::string& bytes) {
    std::vector<std::size_t> offsets;
    BatchHeader header;
    for (std::size_t at = 0;
         DecodeBatchHeader(std::string_view(bytes).substr(at), header) == HeaderVerdict::kValid;
         at += header.total_bytes()) {
      offsets.push_back(at);
    }
    return offsets;
  }
  void Flip(Sequence first, std::size_t at) {
    std::string bytes = Bytes(first);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x10);
    disk_.Replace("log", File(first), bytes);
  }
};

TEST_F(RecoveryTest, CutsATornTailAtEveryByteOfTheLastBatch) {
  Open();
  AppendMany("e", 3, 20);
  const std::string whole = Bytes(1);
  const std::size_t last = Offsets(whole).at(2);
  for (std::size_t size = last; size < whole.size(); ++size) {
    log_.reset();
    disk_.Replace("log", File(1), whole.substr(0, size));
    Open();
    ASSERT_THAT(ReadAll(), ElementsAre("e0", "e1")) << size;
    ASSERT_EQ(log_->head(), 2u);
    ASSERT_EQ(log_->Health().torn_tails_cut, size == last ? 0u : 1u);
    ASSERT_EQ(Bytes(1).size(), last);
    ASSERT_EQ(AppendOne(Event("e2")).sequence, 3u);
  }
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "e2"));
}

TEST_F(RecoveryTest, CutsALastBatchWithAnyByteDamaged) {
  Open();
  AppendMany("e", 2, 20);
  const std::string whole = Bytes(1);
  for (std::size_t at = Offsets(whole).at(1); at < whole.size(); ++at) {
    log_.reset();
    disk_.Replace("log", File(1), whole);
    Flip(1, at);
    Open();
    ASSERT_THAT(ReadAll(), ElementsAre("e0")) << at;
    ASSERT_THAT(log_->Health().lost, IsEmpty());
  }
}

TEST_F(RecoveryTest, CutsAHoleOfZerosBehindTheLastBatch) {
  Open();
  AppendMany("e", 2);
  log_.reset();
  disk_.Replace("log", File(1), Bytes(1) + std::string(100'000, '\0'));
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  EXPECT_EQ(AppendOne(Event("e2")).sequence, 3u);
}

TEST_F(RecoveryTest, SpaceThatWasSetAsideIsNoTornTail) {
  options_.set_aside_bytes = 10'000;
  Open();
  AppendMany("e", 2);
  EXPECT_GE(Bytes(1).size(), 10'000u);
  disk_.Restart();
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  EXPECT_EQ(log_->Health().torn_tails_cut, 0u);
  EXPECT_THAT(log_->Health().notes, IsEmpty());
  EXPECT_EQ(AppendOne(Event("e2")).sequence, 3u);
}

TEST_F(RecoveryTest, CutsATornBatchInSpaceThatWasSetAside) {
  options_.set_aside_bytes = 5'000;
  Open();
  AppendMany("e", 3, 20);
  const std::string whole = Bytes(1);
  const std::size_t last = Offsets(whole).at(2);
  const std::size_t end = whole.find_last_not_of('\0') + 1;
  for (std::size_t torn = last + 1; torn < end; ++torn) {
    log_.reset();
    disk_.Replace("log", File(1), whole.substr(0, torn) + std::string(whole.size() - torn, '\0'));
    Open();
    ASSERT_THAT(ReadAll(), ElementsAre("e0", "e1")) << torn;
    ASSERT_EQ(log_->Health().torn_tails_cut, 1u);
    ASSERT_EQ(AppendOne(Event("e2")).sequence, 3u);
  }
}

TEST_F(RecoveryTest, FencesDamageThatIntactBatchesFollow) {
  Open();
  AppendMany("e", 4, 20);
  const std::string whole = Bytes(1);
  const std::vector<std::size_t> offsets = Offsets(whole);
  for (std::size_t at = offsets.at(1); at < offsets.at(2); ++at) {
    log_.reset();
    disk_.Replace("log", File(1), whole);
    Flip(1, at);
    Open();
    ASSERT_THAT(ReadAll(), ElementsAre("e0", "lost 2-2", "e2", "e3")) << at;
    ASSERT_THAT(log_->Health().lost, SizeIs(1));
    ASSERT_EQ(log_->Health().lost[0].file, File(1));
    ASSERT_EQ(log_->Read(2).status().code(), absl::StatusCode::kDataLoss);
    ASSERT_EQ(log_->head(), 4u);
  }
  // The damage stays known when the segment is sealed and the log opened again.
  options_.segment_bytes = 4096;
  Open();
  AppendMany("f", 30, 300);
  ASSERT_GT(log_->Health().segments, 1u);
  Open();
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  EXPECT_THAT(ReadAll({}, 4), testing::Contains("lost 2-2"));
}

TEST_F(RecoveryTest, FencesSeveralBatchesAndTheFirst) {
  Open();
  AppendMany("e", 6, 20);
  const std::vector<std::size_t> offsets = Offsets(Bytes(1));
  log_.reset();
  Flip(1, offsets[0] + 3);
  Flip(1, offsets[3] + 100);
  Flip(1, offsets[4] + 5);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("lost 1-1", "e1", "e2", "lost 4-5", "e5"));
  EXPECT_EQ(AppendOne(Event("new")).sequence, 7u);
}

TEST_F(RecoveryTest, APayloadThatLooksLikeABatchIsNotTakenForOne) {
  Open();
  AppendMany("e", 2);
  const std::string image = Bytes(1);
  log_.reset();
  // The image of a batch of another log, in the body of the last, torn batch.
  std::string foreign = image;
  foreign[8] = static_cast<char>(foreign[8] ^ 1);
  for (const std::size_t at : Offsets(image)) {
    Store(foreign.data() + at + 84, Crc32c(std::string_view(foreign).substr(at, 84)));
  }
  Open();
  AppendOne(Event("carrier", foreign));
  log_.reset();
  Flip(1, image.size() + 2);
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  EXPECT_EQ(log_->Health().torn_tails_cut, 1u);
}

TEST_F(RecoveryTest, DamageInASealedSegmentIsFencedWhenMet) {
  options_.segment_bytes = 4096;
  Open();
  AppendMany("e", 30, 300);
  const std::vector<std::size_t> offsets = Offsets(Bytes(1));
  ASSERT_GE(offsets.size(), 5u);
  Flip(1, offsets[1] + 90);
  Flip(1, offsets[3] + 2);
  options_.cache_bytes_max = 0;
  clock_.Advance(std::chrono::hours(1));  // Else filling the deduplication table meets it.
  Open();
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  const std::vector<std::string> all = ReadAll({}, 3);
  EXPECT_EQ(all[0], "e0");
  EXPECT_EQ(all[1], "lost 2-2");
  EXPECT_EQ(all[3], "lost 4-4");
  EXPECT_EQ(all.back(), "e29");
  EXPECT_THAT(all, SizeIs(30));
  EXPECT_THAT(log_->Health().lost, SizeIs(2));
}

TEST_F(RecoveryTest, RebuildsAMissingOrDamagedFooterAtAnyByte) {
  options_.segment_bytes = 4096;
  Open();
  AppendMany("e", 20, 300);
  const std::vector<std::string> all = ReadAll();
  const std::string whole = Bytes(1);
  const std::vector<std::size_t> offsets = Offsets(whole);
  BatchHeader last;
  DecodeBatchHeader(std::string_view(whole).substr(offsets.back()), last);
  const std::size_t footer = offsets.back() + last.total_bytes();
  for (std::size_t size = footer; size < whole.size(); size += 7) {
    log_.reset();
    disk_.Replace("log", File(1), whole.substr(0, size));
    Open();
    ASSERT_EQ(ReadAll(), all) << size;
    ASSERT_EQ(log_->Health().footers_rebuilt, 1u);
    ASSERT_EQ(Bytes(1), whole);
  }
  for (std::size_t at = footer; at < whole.size(); at += 5) {
    log_.reset();
    disk_.Replace("log", File(1), whole);
    Flip(1, at);
    Open();
    ASSERT_EQ(ReadAll(), all) << at;
    ASSERT_THAT(log_->Health().lost, IsEmpty());
    const auto found = log_->FindById({.space = "default", .id = "e1"});
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    ASSERT_THAT(*found, SizeIs(1));
  }
}

TEST_F(RecoveryTest, AMissingSegmentIsALostRange) {
  options_.segment_bytes = 4096;
  Open();
  AppendMany("e", 40, 300);
  const std::vector<std::string> names = disk_.Names("log");
  ASSERT_GE(names.size(), 4u);
  log_.reset();
  disk_.Remove("log", names[1]);
  Open();
  ASSERT_THAT(log_->Health().lost, SizeIs(1));
  const LostRange lost = log_->Health().lost[0];
  EXPECT_EQ(File(lost.first), names[1]);
  EXPECT_EQ(ReadAll().size() - 1, 40 - (lost.last - lost.first + 1));
}

TEST_F(RecoveryTest, RefusesANewerFormatAndTouchesNothing) {
  Open();
  AppendMany("e", 2);
  log_.reset();
  std::string bytes = Bytes(1);
  const std::size_t last = Offsets(bytes).at(1);
  Store(bytes.data() + last + 4, std::uint16_t{2});
  Store(bytes.data() + last + 84, Crc32c(std::string_view(bytes).substr(last, 84)));
  disk_.Replace("log", File(1), bytes);
  const std::uint64_t changes = disk_.changes();
  EXPECT_EQ(TryOpen().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(disk_.changes(), changes);
  EXPECT_EQ(Bytes(1), bytes);
}

TEST_F(RecoveryTest, RefusesANewerManifest) {
  Open();
  log_.reset();
  std::string text = "penstock-log format 2\nid 00\n";
  text += fmt::format("crc32c {:08x}\n", Crc32c(text));
  disk_.Replace("log", "LOG_ID", text);
  EXPECT_EQ(TryOpen().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RecoveryTest, ALostManifestIsWrittenAgainFromTheSegments) {
  Open();
  AppendMany("e", 2);
  log_.reset();
  const std::string manifest = disk_.Contents("log", "LOG_ID");
  disk_.Replace("log", "LOG_ID", "rubbish");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1"));
  EXPECT_EQ(disk_.Contents("log", "LOG_ID"), manifest);
}

TEST_F(RecoveryTest, SequencesGoOnBehindWhatOthersHaveSeen) {
  Open();
  AppendMany("e", 3);
  log_.reset();
  disk_.Replace("log", File(1), Bytes(1).substr(0, Offsets(Bytes(1)).at(2)));
  options_.sequence_floor = 3;
  Open();
  EXPECT_EQ(AppendOne(Event("new")).sequence, 4u);
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "lost 3-3", "new"));
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("e0", "e1", "lost 3-3", "new"));
}

}  // namespace
}  // namespace penstock::broker
