// The log's keeper, its alarms and metrics.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <semaphore>

#include "libs/base/fake_clock.h"
#include "services/event-broker/app/log_alarms.h"
#include "services/event-broker/app/log_metrics.h"
#include "services/event-broker/app/retention.h"
#include "tests/fault/power_cut/simulated_disk.h"

namespace penstock::broker {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

LogHealth WithPin(double share) {
  LogHealth health;
  health.pins.worst = PinUse{.owner = {.label = "subscription slow", .space = "team"},
                             .sequence = 5,
                             .bytes = 1000,
                             .age = Microseconds(1),
                             .share = share};
  return health;
}

TEST(LogAlarmsTest, TellsEachStepUpOnceAndTheEnd) {
  LogAlarms alarms;
  EXPECT_THAT(alarms.Look({}), IsEmpty());
  EXPECT_THAT(alarms.Look(WithPin(0.49)), IsEmpty());
  auto told = alarms.Look(WithPin(0.5));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].percent, 50);
  EXPECT_EQ(told[0].owner.label, "subscription slow");
  EXPECT_EQ(told[0].owner.space, "team");
  EXPECT_FALSE(told[0].is_over);
  EXPECT_THAT(alarms.Look(WithPin(0.7)), IsEmpty());
  told = alarms.Look(WithPin(0.81));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].percent, 80);
  told = alarms.Look(WithPin(1.5));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].percent, 100);
  EXPECT_THAT(alarms.Look(WithPin(0.6)), IsEmpty());
  told = alarms.Look(WithPin(0.1));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_TRUE(told[0].is_over);
  EXPECT_THAT(alarms.Look({}), IsEmpty());
}

TEST(LogAlarmsTest, TellsOfRefusedSpaces) {
  LogAlarms alarms;
  LogHealth health;
  health.pins.refused_spaces = {"a", "b"};
  EXPECT_THAT(alarms.Look(health), SizeIs(2));
  health.pins.refused_spaces = {"b", "c"};
  const auto told = alarms.Look(health);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].owner.space, "c");
  EXPECT_FALSE(told[0].is_over);
  EXPECT_EQ(told[1].owner.space, "a");
  EXPECT_TRUE(told[1].is_over);
}

TEST(LogNoteTest, SaysWhatAnOperatorShouldKnowAndNothingElse) {
  EXPECT_EQ(LogNote({}), "");
  EXPECT_EQ(LogNote(WithPin(0.3)), "");
  EXPECT_THAT(LogNote(WithPin(0.83)), HasSubstr("subscription slow holds back 83 %"));
  LogHealth health;
  health.lost.push_back({3, 5, "1.seg", "checksum mismatch"});
  EXPECT_THAT(LogNote(health), HasSubstr("3 to 5 of 1.seg"));
  health.pins.refused_spaces = {"a", "b"};
  EXPECT_THAT(LogNote(health), HasSubstr("a, b"));
}

TEST(LogKeeperTest, RetainsScrubsAndDoesWhatElseThereIs) {
  SimulatedDisk disk{1};
  FakeClock clock;
  SegmentLogOptions options;
  options.folder = "log";
  options.segment_bytes = 4096;
  options.reserve_bytes = 0;
  options.dedup_entries_max = 1000;
  options.retention.bytes = 20'000;
  auto log = *SegmentLog::Open(options, disk, clock);
  for (int i = 0; i < 80; ++i) {
    AppendRequest request{.space = "default", .type = "t", .source = "/s"};
    request.body = SharedBytes(std::string(300, 'x'));
    std::promise<void> done;
    ASSERT_TRUE(log->Append({request}, [&](auto) { done.set_value(); }).ok());
    done.get_future().wait();
  }
  ASSERT_GT(log->Health().stored_bytes, 20'000u);
  metrics::Registry registry;
  const auto registered = RegisterLogMetrics(registry, *log);
  {
    std::counting_semaphore<1000> ticked(0);
    LogKeeper keeper(*log, {.scrub_bytes_per_tick = 1 << 20, .tick = std::chrono::milliseconds(1)},
                     [&] { ticked.release(); });
    // One segment a tick, until a pass is over.
    for (int i = 0; i < 50 && log->Health().scrub.passes == 0; ++i) ticked.acquire();
  }
  EXPECT_LE(log->Health().stored_bytes, 20'000u);
  EXPECT_EQ(log->Health().scrub.passes, 1u);
  EXPECT_THAT(registry.Serialize(), HasSubstr("penstock_broker_scrub_passes_total 1"));
  EXPECT_THAT(registry.Serialize(), HasSubstr("penstock_broker_log_pin_alarm_percent 0"));
}

}  // namespace
}  // namespace penstock::broker
