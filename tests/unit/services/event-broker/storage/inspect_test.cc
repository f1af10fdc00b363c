// Looking at a log from outside.
#include "tests/unit/services/event-broker/storage/surgery_fixture.h"

namespace penstock::broker {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class InspectTest : public SurgeryTest {
 protected:
  std::vector<std::string> Dump(const DumpOptions& options) {
    std::vector<std::string> out;
    const auto folder = disk_.OpenFolder("log");
    const absl::Status status = DumpLog(
        **folder, options,
        [&](const RecordView& record) {
          out.push_back(record.kind == RecordKind::kEvent ? std::string(record.id) : "control");
          return true;
        },
        [&](const LostRange& range) {
          out.push_back(fmt::format("lost {}-{}", range.first, range.last));
        });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return out;
  }
};

TEST_F(InspectTest, AnIntactLogHasNoFindingsAndNothingIsWritten) {
  Fill();
  const std::uint64_t changes = disk_.changes();
  for (const bool deep : {false, true}) {
    std::uint64_t done = 0;
    const LogInspection log =
        Inspect({.deep = deep, .progress = [&](const InspectProgress& p) { done = p.bytes_done; }});
    EXPECT_THAT(log.findings, IsEmpty());
    EXPECT_EQ(log.events(), 60u);
    EXPECT_EQ(log.horizon(), 1u);
    EXPECT_EQ(log.head(), 60u);
    EXPECT_EQ(done, log.bytes());
    EXPECT_FALSE(log.damaged());
  }
  EXPECT_EQ(disk_.changes(), changes);
}

TEST_F(InspectTest, SpaceThatIsSetAsideIsNoFindingAndASealedSegmentHasNone) {
  options_.set_aside_bytes = 2000;
  Fill(57);
  const Sequence newest = Segments().back();
  EXPECT_EQ(Bytes(newest).back(), '\0');
  EXPECT_THAT(Inspect().findings, IsEmpty());
  for (const Sequence segment : Segments()) {
    if (segment == newest) continue;
    EXPECT_NE(Bytes(segment).back(), '\0') << segment;
  }
}

TEST_F(InspectTest, OnlyADeepLookFindsADamagedEventAndAnyLookADamagedFooter) {
  Fill();
  Flip(1, Offsets(Bytes(1)).at(2) + 100);
  EXPECT_THAT(Inspect({.deep = false}).findings, IsEmpty());
  const LogInspection deep = Inspect();
  ASSERT_THAT(Kinds(deep), ElementsAre("DAMAGED_RANGE"));
  EXPECT_EQ(deep.findings[0].first, 3u);
  EXPECT_EQ(deep.findings[0].last, 3u);
  EXPECT_EQ(deep.findings[0].offset, Offsets(Bytes(1)).at(2));
  EXPECT_TRUE(deep.damaged());
  const Sequence second = Segments().at(1);
  Flip(second, Bytes(second).size() - 200);
  EXPECT_THAT(Kinds(Inspect({.deep = false})), ElementsAre("DAMAGED_FOOTER"));
}

TEST_F(InspectTest, FindsEveryFlippedBitOfAWholeLog) {
  Fill(20);
  const std::vector<Sequence> segments = Segments();
  ASSERT_GE(segments.size(), 2u);
  for (const Sequence segment : segments) {
    const std::string whole = Bytes(segment);
    for (std::size_t at = 0; at < whole.size(); at += 13) {
      Flip(segment, at);
      EXPECT_THAT(Inspect().findings, testing::Not(IsEmpty())) << segment << " at " << at;
      disk_.Replace("log", File(segment), whole);
    }
  }
}

TEST_F(InspectTest, AnUnfinishedWriteIsNoDamageAndNoFindingWhileTheLogIsInUse) {
  Fill();
  const Sequence newest = Segments().back();
  disk_.Replace("log", File(newest), Bytes(newest) + std::string(77, 'x'));
  const LogInspection log = Inspect();
  EXPECT_THAT(Kinds(log), ElementsAre("TORN_TAIL"));
  EXPECT_FALSE(log.damaged());
  EXPECT_THAT(Inspect({.deep = true, .in_use = true}).findings, IsEmpty());
}

TEST_F(InspectTest, AMissingSegmentIsALostRange) {
  Fill();
  const std::vector<Sequence> segments = Segments();
  disk_.Remove("log", File(segments.at(1)));
  const LogInspection log = Inspect({.deep = false});
  ASSERT_THAT(Kinds(log), ElementsAre("LOST_RANGE"));
  EXPECT_EQ(log.findings[0].first, segments[1]);
  EXPECT_EQ(log.findings[0].last, segments[2] - 1);
}

TEST_F(InspectTest, TellsAMissingFooterAndADamagedManifest) {
  Fill();
  disk_.Replace("log", File(1), Bytes(1).substr(0, Bytes(1).size() - 60));
  disk_.Replace("log", "LOG_ID", "rubbish");
  EXPECT_THAT(Kinds(Inspect()), ElementsAre("DAMAGED_MANIFEST", "MISSING_FOOTER"));
}

TEST_F(InspectTest, DumpsWhatPassesAndTellsWhatIsLost) {
  Open();
  for (int i = 0; i < 40; ++i) {
    AppendRequest request = Event(fmt::format("{}", i), std::string(300, 'x'));
    if (i % 10 == 3) request.type = "rare";
    if (i % 10 == 4) request.space = "team";
    AppendOne(request);
  }
  AppendRequest control = Event("");
  control.kind = RecordKind::kControl;
  AppendOne(control);
  log_.reset();
  EXPECT_THAT(Dump({}), SizeIs(41));
  EXPECT_THAT(Dump({.types = {"rare"}}), ElementsAre("3", "13", "23", "33"));
  EXPECT_THAT(Dump({.spaces = {"team"}}), ElementsAre("4", "14", "24", "34", "control"));
  EXPECT_THAT(Dump({.from = 30, .to = 32}), ElementsAre("29", "30", "31"));
  Flip(1, Offsets(Bytes(1)).at(2) + 100);
  EXPECT_THAT(Dump({.to = 5}), ElementsAre("0", "1", "lost 3-3", "3", "4"));
  EXPECT_THAT(Dump({.from = 4, .to = 5}), ElementsAre("3", "4"));
  const std::vector<Sequence> segments = Segments();
  disk_.Remove("log", File(segments.at(1)));
  EXPECT_THAT(Dump({}), Contains(fmt::format("lost {}-{}", segments[1], segments[2] - 1)));
}

TEST_F(InspectTest, AFolderWithoutALogIsNotFound) {
  const auto folder = disk_.OpenFolder("empty");
  EXPECT_EQ(InspectLog(**folder, {}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock::broker
