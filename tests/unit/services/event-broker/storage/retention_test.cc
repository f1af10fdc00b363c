// Retention by age and size, and what pins change about it.
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RetentionTest : public LogTest {
 protected:
  RetentionTest() { options_.segment_bytes = 4096; }

  RetentionResult Retain() {
    auto result = log_->ApplyRetention();
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? *std::move(result) : RetentionResult{};
  }
};

TEST_F(RetentionTest, RemovesOldSegmentsButNothingPinned) {
  options_.retention.age = seconds(3600);
  Open();
  AppendMany("e", 30, 300);
  clock_.Advance(seconds(4000));
  AppendMany("f", 30, 300);
  auto pin = log_->Pin(3);
  EXPECT_TRUE(Retain().held_by_pin);
  EXPECT_EQ(log_->horizon(), 1u);
  pin->MoveTo(15);
  EXPECT_GE(Retain().segments_removed, 1u);
  EXPECT_GT(log_->horizon(), 1u);
  EXPECT_LE(log_->horizon(), 15u);
  EXPECT_EQ(log_->Read(1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(log_->Read(15)->id, "e14");
  pin.reset();
  EXPECT_THAT(Retain().skipped, IsEmpty());
  const Sequence horizon = log_->horizon();
  EXPECT_GT(horizon, 20u);
  EXPECT_LE(horizon, 31u);
  EXPECT_EQ(ReadAll().back(), "f29");
  Open();
  EXPECT_EQ(log_->horizon(), horizon);
  EXPECT_EQ(log_->head(), 60u);
}

TEST_F(RetentionTest, KeepsTheLogWithinItsQuota) {
  options_.retention.bytes = 10'000;
  Open();
  AppendMany("e", 60, 300);
  EXPECT_GE(Retain().segments_removed, 2u);
  EXPECT_LE(log_->Health().stored_bytes, 10'000u);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
  EXPECT_EQ(Retain().segments_removed, 0u);
  EXPECT_EQ(ReadAll().back(), "e59");
}

TEST_F(RetentionTest, NewLimitsCountFromTheNextRunOn) {
  Open();
  AppendMany("e", 60, 300);
  EXPECT_EQ(Retain().segments_removed, 0u);
  RetentionLimits limits;
  limits.bytes = 10'000;
  log_->SetRetention(limits);
  EXPECT_GE(Retain().segments_removed, 2u);
  EXPECT_LE(log_->Health().stored_bytes, 10'000u);
}

TEST_F(RetentionTest, APinHoldsUpToItsShareOfTheQuotaAndThenLosesAnExactRange) {
  options_.retention.bytes = 20'000;
  Open();
  AppendMany("e", 30, 300);  // Some 13 kB: above the half of the quota that pins have.
  auto pin = log_->Pin(5, {.label = "subscription slow", .space = "default"});
  EXPECT_EQ(Retain().segments_removed, 0u);
  EXPECT_GE(log_->Health().pins.worst->share, 1);
  AppendMany("f", 60, 300);
  const RetentionResult result = Retain();
  EXPECT_FALSE(result.held_by_pin);
  ASSERT_GE(result.skipped.size(), 1u);
  // What is reported is gapless, from the pin up to the new horizon.
  Sequence expected = 5;
  for (const SkippedRange& range : result.skipped) {
    EXPECT_EQ(range.owner.label, "subscription slow");
    EXPECT_EQ(range.first, expected);
    expected = range.last + 1;
  }
  EXPECT_EQ(expected, log_->horizon());
  EXPECT_EQ(log_->Health().pins.skipped_ranges, result.skipped.size());
  // The holder learns it where it reads, and goes on at the horizon.
  EXPECT_EQ(log_->Scan({.from = 5}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(log_->Scan({.from = log_->horizon()})->records.front().sequence, log_->horizon());
  // Appends were never refused.
  EXPECT_EQ(log_->Health().pins.refused_events, 0u);
}

TEST_F(RetentionTest, APinWithinItsShareHoldsThoughTheAgeIsOver) {
  options_.retention.age = hours(1);
  options_.retention.pin_age_max = hours(10);
  Open();
  AppendMany("e", 30, 300);
  clock_.Advance(hours(5));
  AppendMany("f", 30, 300);
  auto pin = log_->Pin(3);
  EXPECT_TRUE(Retain().held_by_pin);
  EXPECT_NEAR(log_->Health().pins.worst->share, 0.5, 0.01);
  clock_.Advance(hours(4));
  EXPECT_TRUE(Retain().held_by_pin);
  EXPECT_NEAR(log_->Health().pins.worst->share, 0.9, 0.01);
  clock_.Advance(hours(2));
  const RetentionResult result = Retain();
  ASSERT_GE(result.skipped.size(), 1u);
  EXPECT_EQ(result.skipped.front().first, 3u);
  EXPECT_EQ(result.skipped.back().last, log_->horizon() - 1);
  // What came later is younger, and held.
  EXPECT_TRUE(result.held_by_pin);
  EXPECT_LE(log_->horizon(), 31u);
}

TEST_F(RetentionTest, ABackwardsClockRemovesNothing) {
  options_.retention.age = hours(1);
  Open();
  AppendMany("e", 30, 300);
  clock_.JumpWall(-hours(48));
  AppendMany("f", 30, 300);
  auto pin = log_->Pin(2);
  EXPECT_EQ(Retain().segments_removed, 0u);
  EXPECT_EQ(log_->Health().pins.worst->share, 0);
}

TEST_F(RetentionTest, RefusesTheSpaceOfThePinAndNoOther) {
  options_.retention.bytes = 40'000;
  options_.retention.on_pin_limit = OnPinLimit::kRefuse;
  Open();
  AppendMany("e", 60, 300);
  auto pin = log_->Pin(2, {.label = "subscription slow", .space = "default"});
  Retain();
  EXPECT_THAT(log_->Health().pins.refused_spaces, ElementsAre("default"));
  AppendRequest other = Event("other");
  other.space = "team";
  AppendRequest control = Event("");
  control.kind = RecordKind::kControl;
  AppendRequest answer = Event("answer");
  answer.is_internal = true;
  const auto results =
      Append({Event("refused"), other, Event("e0", std::string(300, 'x')), control, answer});
  EXPECT_EQ(results[0].verdict, AppendVerdict::kFailed);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(results[0].status), kReasonPinLimit);
  EXPECT_EQ(results[1].verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(results[2].verdict, AppendVerdict::kDuplicate);
  EXPECT_EQ(results[3].verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(results[4].verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(log_->Health().pins.refused_events, 1u);
  // What the pin needs stays; once its holder has gone on, the space is open again.
  EXPECT_EQ(log_->horizon(), 1u);
  pin->MoveTo(50);
  Retain();
  EXPECT_THAT(log_->Health().pins.refused_spaces, IsEmpty());
  EXPECT_EQ(AppendOne(Event("refused")).verdict, AppendVerdict::kAccepted);
}

TEST_F(RetentionTest, ARefusingPinLosesWhenOtherSpacesHaveUsedUpTheWholeQuota) {
  options_.retention.bytes = 40'000;
  options_.retention.on_pin_limit = OnPinLimit::kRefuse;
  Open();
  AppendMany("e", 60, 300);
  auto pin = log_->Pin(2, {.label = "subscription slow", .space = "default"});
  Retain();
  for (int i = 0; i < 80; ++i) {
    AppendRequest other = Event(fmt::format("other{}", i), std::string(300, 'x'));
    other.space = "team";
    ASSERT_EQ(AppendOne(other).verdict, AppendVerdict::kAccepted);
  }
  EXPECT_THAT(Retain().skipped, testing::Not(IsEmpty()));
  EXPECT_GT(log_->horizon(), 2u);
  EXPECT_LE(log_->Health().stored_bytes, 40'000u);
}

TEST_F(RetentionTest, APinOfNoSpaceNeverRefuses) {
  options_.retention.bytes = 20'000;
  options_.retention.on_pin_limit = OnPinLimit::kRefuse;
  Open();
  AppendMany("e", 90, 300);
  auto pin = log_->Pin(2);
  EXPECT_THAT(Retain().skipped, testing::Not(IsEmpty()));
  EXPECT_THAT(log_->Health().pins.refused_spaces, IsEmpty());
}

TEST_F(RetentionTest, APinBehindTheHeadHoldsNothing) {
  options_.retention.bytes = 20'000;
  Open();
  AppendMany("e", 10, 300);
  auto pin = log_->Pin(11, {.label = "matcher", .space = ""});
  Retain();
  EXPECT_EQ(log_->Health().pins.worst->bytes, 0u);
  EXPECT_EQ(log_->Health().pins.worst->share, 0);
  pin.reset();
  Retain();
  EXPECT_FALSE(log_->Health().pins.worst.has_value());
}

TEST_F(RetentionTest, DuplicatesAreFoundThoughTheirSegmentIsSealedOrGone) {
  options_.retention.bytes = 12'000;
  Open();
  AppendMany("e", 20, 300);
  EXPECT_GT(log_->Health().segments, 1u);
  // Sealed, before and after a restart.
  EXPECT_EQ(AppendOne(Event("e0", std::string(300, 'x'))).sequence, 1u);
  Open();
  EXPECT_EQ(AppendOne(Event("e0", std::string(300, 'x'))).verdict, AppendVerdict::kDuplicate);
  AppendMany("f", 40, 300);
  Retain();
  ASSERT_GT(log_->horizon(), 1u);
  // Gone from the disk and still in the window: the table answers, with the sequence of then.
  const AppendResult again = AppendOne(Event("e0", std::string(300, 'x')));
  EXPECT_EQ(again.verdict, AppendVerdict::kDuplicate);
  EXPECT_EQ(again.sequence, 1u);
  // What is still stored survives a restart right after, and the gauge tells that the rest does
  // not.
  EXPECT_EQ(log_->Health().dedup_window_seconds, 300);
  Open();
  EXPECT_LT(log_->Health().dedup_window_seconds, 300);
  EXPECT_EQ(AppendOne(Event("f39", std::string(300, 'x'))).verdict, AppendVerdict::kDuplicate);
  EXPECT_THAT(log_->Health().lost, IsEmpty());
}

TEST_F(RetentionTest, APowerCutDuringRetentionLeavesNoGap) {
  options_.retention.bytes = 8'000;
  for (std::uint64_t cut = 1; cut < 12; ++cut) {
    options_.folder = fmt::format("log-{}", cut);
    Open();
    AppendMany("e", 60, 300);
    disk_.CutPowerAfter(cut);
    log_->ApplyRetention().status().IgnoreError();
    log_.reset();
    disk_.Restart();
    Open();
    EXPECT_THAT(log_->Health().lost, IsEmpty()) << cut;
    EXPECT_EQ(log_->head(), 60u);
    EXPECT_EQ(ReadAll().size(), 60 - log_->horizon() + 1);
  }
}

}  // namespace
}  // namespace penstock::broker
