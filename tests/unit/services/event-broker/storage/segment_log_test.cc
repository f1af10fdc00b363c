#include "services/event-broker/storage/segment_log.h"

#include <atomic>
#include <filesystem>
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include "services/event-broker/storage/posix_file_system.h"
#include "tests/unit/services/event-broker/storage/log_fixture.h"

namespace penstock::broker {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class SegmentLogTest : public LogTest {};

TEST_F(SegmentLogTest, GivesBackWhatWasAppended) {
  Open();
  AppendRequest request = Event("1", "payload");
  request.ordering_key = "customer-7";
  const AppendResult result = AppendOne(request);
  EXPECT_EQ(result.verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(result.sequence, 1u);
  const auto record = log_->Read(1);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->space, "default");
  EXPECT_EQ(record->type, "created");
  EXPECT_EQ(record->source, "/shop");
  EXPECT_EQ(record->ordering_key, "customer-7");
  EXPECT_EQ(record->body, "payload");
  EXPECT_EQ(record->append_time, clock_.Wall());
  EXPECT_EQ(record->Detached().body, "payload");
  EXPECT_EQ(log_->Read(2).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SegmentLogTest, TakesAllThatWaitsInOneSync) {
  Open();
  AppendMany("first", 1);
  const std::uint64_t syncs = disk_.syncs();
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(log_->Append({Event(fmt::format("{}", i))}, [&](auto) { ++answered; }).ok());
  }
  EXPECT_TRUE(log_->Pump());
  EXPECT_EQ(answered, 20);
  EXPECT_EQ(disk_.syncs(), syncs + 1);
}

TEST_F(SegmentLogTest, FindsDuplicatesInTheWindowAndAcrossARestart) {
  Open();
  EXPECT_EQ(AppendOne(Event("a")).sequence, 1u);
  const auto both = Append({Event("a"), Event("b"), Event("b", "other")});
  EXPECT_EQ(both[0].verdict, AppendVerdict::kDuplicate);
  EXPECT_EQ(both[0].sequence, 1u);
  EXPECT_FALSE(both[0].content_differs);
  EXPECT_EQ(both[1].verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(both[2].verdict, AppendVerdict::kDuplicate);
  EXPECT_EQ(both[2].sequence, 2u);
  EXPECT_TRUE(both[2].content_differs);
  AppendRequest elsewhere = Event("a");
  elsewhere.source = "/other";
  EXPECT_EQ(AppendOne(elsewhere).verdict, AppendVerdict::kAccepted);
  clock_.Advance(seconds(200));
  Open();
  EXPECT_EQ(AppendOne(Event("a")).verdict, AppendVerdict::kDuplicate);
  EXPECT_TRUE(AppendOne(Event("a", "changed")).content_differs);
  clock_.Advance(seconds(140));
  Open();
  EXPECT_EQ(AppendOne(Event("a")).verdict, AppendVerdict::kAccepted);
}

TEST_F(SegmentLogTest, DuplicatesEndWithTheBoundOfEntriesAndTheGaugeTells) {
  options_.dedup_entries_max = 100;
  Open();
  EXPECT_EQ(log_->Health().dedup_window_seconds, 300);
  for (int i = 0; i < 300; ++i) {
    clock_.Advance(Microseconds(100'000));
    ASSERT_EQ(AppendOne(Event(fmt::format("{}", i))).verdict, AppendVerdict::kAccepted);
  }
  EXPECT_EQ(AppendOne(Event("290")).verdict, AppendVerdict::kDuplicate);
  EXPECT_EQ(AppendOne(Event("0")).verdict, AppendVerdict::kAccepted);
  EXPECT_LE(log_->Health().dedup_window_seconds, 11);
  EXPECT_GE(log_->Health().dedup_window_seconds, 7);
  Open();
  EXPECT_EQ(AppendOne(Event("290")).verdict, AppendVerdict::kDuplicate);
  EXPECT_LE(log_->Health().dedup_window_seconds, 11);
}

TEST_F(SegmentLogTest, ControlRecordsAndEventsWithoutIdAreNeverDuplicates) {
  Open();
  AppendRequest control = Event("");
  control.kind = RecordKind::kControl;
  EXPECT_EQ(AppendOne(control).sequence, 1u);
  EXPECT_EQ(AppendOne(control).sequence, 2u);
  EXPECT_EQ(AppendOne(Event("")).sequence, 3u);
  EXPECT_EQ(AppendOne(Event("")).sequence, 4u);
  EXPECT_EQ(log_->Read(2)->kind, RecordKind::kControl);
}

TEST_F(SegmentLogTest, AnEventTooLargeFailsAlone) {
  options_.record_bytes_max = 2048;
  Open();
  const auto results = Append({Event("a"), Event("b", std::string(3000, 'x')), Event("c")});
  EXPECT_EQ(results[0].sequence, 1u);
  EXPECT_EQ(results[1].verdict, AppendVerdict::kFailed);
  EXPECT_EQ(results[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(results[2].sequence, 2u);
}

TEST_F(SegmentLogTest, AFullQueueRefusesAtOnce) {
  options_.queue_events_max = 3;
  Open();
  ASSERT_TRUE(log_->Append({Event("1"), Event("2")}, nullptr).ok());
  const absl::Status refused = log_->Append({Event("3"), Event("4")}, [](auto) { FAIL(); });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), kReasonQueueFull);
  EXPECT_EQ(log_->Health().append_queue_events, 2u);
  log_->Pump();
  EXPECT_TRUE(log_->Append({Event("3"), Event("4")}, nullptr).ok());
}

TEST_F(SegmentLogTest, ReadsAcrossSegmentsWithAndWithoutTheCache) {
  options_.segment_bytes = 4096;
  for (const std::size_t cache : {std::size_t{0}, std::size_t{3000}, std::size_t{1} << 20}) {
    disk_.Replace("log", "unrelated", "");
    options_.folder = fmt::format("log-{}", cache);
    options_.cache_bytes_max = cache;
    Open();
    AppendMany("e", 50, 300);
    EXPECT_GT(log_->Health().segments, 3u);
    const std::vector<std::string> all = ReadAll();
    ASSERT_THAT(all, SizeIs(50));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], fmt::format("e{}", i));
    EXPECT_EQ(log_->ReadCached(1).has_value(), cache > 10'000);
    EXPECT_EQ(log_->ReadCached(50).has_value(), cache > 0);
    Open();
    EXPECT_EQ(ReadAll(), all);
    EXPECT_EQ(log_->Read(17)->id, "e16");
  }
}

TEST_F(SegmentLogTest, ScansWithFiltersAndLimits) {
  options_.segment_bytes = 4096;
  options_.cache_bytes_max = 0;
  Open();
  for (int i = 0; i < 100; ++i) {
    AppendRequest request = Event(fmt::format("{}", i), std::string(200, 'x'));
    request.type = i % 40 == 7 ? "rare" : "common";
    request.space = i % 50 == 3 ? "team" : "default";
    if (i % 30 == 4) request.ordering_key = "key";
    if (i == 60) request.kind = RecordKind::kControl;
    AppendOne(request);
  }
  EXPECT_THAT(ReadAll({.types = {"rare"}, .control_records = false}), ElementsAre("7", "47", "87"));
  EXPECT_THAT(ReadAll({.types = {"rare"}}), ElementsAre("7", "47", "60", "87"));
  EXPECT_THAT(ReadAll({.spaces = {"team"}, .control_records = false}), ElementsAre("3", "53"));
  EXPECT_THAT(ReadAll({.ordering_key = "key", .control_records = false}),
              ElementsAre("4", "34", "64", "94"));
  EXPECT_THAT(ReadAll({.ordering_key = "nobody"}), ElementsAre("60"));
  EXPECT_THAT(ReadAll({.types = {"unknown"}, .control_records = false}), IsEmpty());
  const auto limited = log_->Scan({.from = 10, .to = 40, .events_max = 5});
  EXPECT_THAT(limited->records, SizeIs(5));
  EXPECT_EQ(limited->next, 15u);
  EXPECT_THAT(log_->Scan({.from = 10, .to = 12})->records, SizeIs(3));
  EXPECT_THAT(log_->Scan({.from = 10, .bytes_max = 1})->records, SizeIs(1));
  EXPECT_EQ(log_->Scan({.from = 500})->next, 500u);
}

TEST_F(SegmentLogTest, FindsByTimeThoughClocksGoBack) {
  options_.segment_bytes = 4096;
  options_.cache_bytes_max = 0;
  Open();
  const WallTime start = clock_.Wall();
  for (int i = 0; i < 60; ++i) {
    clock_.Advance(seconds(10));
    if (i == 30) clock_.JumpWall(-seconds(200));
    AppendOne(Event(fmt::format("{}", i), std::string(200, 'x')));
  }
  EXPECT_EQ(log_->FirstAtOrAfter(start).value(), 1u);
  EXPECT_EQ(log_->FirstAtOrAfter(start + seconds(55)).value(), 6u);
  EXPECT_EQ(log_->FirstAtOrAfter(start + seconds(300)).value(), 30u);
  EXPECT_EQ(log_->FirstAtOrAfter(start + seconds(301)).value(), 51u);
  EXPECT_EQ(log_->FirstAtOrAfter(start + seconds(100'000)).value(), 61u);
}

TEST_F(SegmentLogTest, FindsByIdNewestFirst) {
  options_.segment_bytes = 4096;
  options_.cache_bytes_max = 0;
  Open();
  AppendOne(Event("wanted"));
  AppendMany("a", 30, 300);
  AppendRequest other = Event("wanted");
  other.source = "/other";
  AppendOne(other);
  AppendMany("b", 30, 300);
  clock_.Advance(seconds(1000));
  AppendOne(Event("wanted"));
  const auto sequences = [&](FindByIdRequest request) {
    const auto records = log_->FindById(request);
    std::vector<Sequence> found;
    for (const EventRecord& record : *records) found.push_back(record.sequence);
    return found;
  };
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_THAT(sequences({.space = "default", .id = "wanted"}), ElementsAre(63, 32, 1));
    EXPECT_THAT(sequences({.space = "default", .id = "wanted", .source = "/other"}),
                ElementsAre(32));
    EXPECT_THAT(sequences({.space = "default", .id = "wanted", .matches_max = 1}), ElementsAre(63));
    EXPECT_THAT(sequences({.space = "team", .id = "wanted"}), IsEmpty());
    EXPECT_THAT(sequences({.space = "default", .id = "missing"}), IsEmpty());
    Open();
  }
}

TEST_F(SegmentLogTest, StopCompletesWhatWaitsAndRefusesTheRest) {
  Open();
  int answered = 0;
  ASSERT_TRUE(log_->Append({Event("1")}, [&](auto) { ++answered; }).ok());
  log_->Stop();
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(ReasonOf(log_->Append({Event("2")}, nullptr)), kReasonLogStopped);
  EXPECT_EQ(log_->Read(1)->id, "1");
  log_->Stop();
}

// The real thread, the real files, several publishers and a tailing reader.
TEST(SegmentLogThreadsTest, ConcurrentPublishersAndATailerSeeOneOrder) {
  const std::string folder = fmt::format("{}/penstock-log-{}", testing::TempDir(), getpid());
  std::filesystem::remove_all(folder);
  SegmentLogOptions options;
  options.folder = folder;
  options.segment_bytes = 64 << 10;
  options.reserve_bytes = 4096;
  options.cache_bytes_max = 32 << 10;
  options.dedup_entries_max = 100'000;
  auto log = *SegmentLog::Open(options, PosixFiles(), SystemClock());
  constexpr int kThreads = 4, kCalls = 100, kEvents = 5;
  std::mutex mutex;
  std::map<Sequence, std::string> accepted;
  Sequence last_called = 0;
  std::atomic<Sequence> announced{0};
  auto listener = log->OnHeadAdvanced([&](Sequence head) { announced = head; });
  std::latch done(kThreads * kCalls);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int c = 0; c < kCalls; ++c) {
        std::vector<AppendRequest> requests;
        std::vector<std::string> ids;
        for (int e = 0; e < kEvents; ++e) {
          ids.push_back(fmt::format("{}-{}-{}", t, c, e));
          requests.push_back(Event(ids.back(), std::string(100, 'x')));
        }
        const absl::Status queued = log->Append(
            std::move(requests), [&, ids = std::move(ids)](std::vector<AppendResult> results) {
              const std::lock_guard lock(mutex);
              for (std::size_t i = 0; i < ids.size(); ++i) {
                EXPECT_GT(results[i].sequence, last_called);
                EXPECT_LE(results[i].sequence, announced.load());
                last_called = results[i].sequence;
                accepted[last_called] = ids[i];
              }
              done.count_down();
            });
        EXPECT_TRUE(queued.ok());
      }
    });
  }
  std::map<Sequence, std::string> seen;
  for (Sequence from = 1; from <= kThreads * kCalls * kEvents;) {
    auto result = log->ScanCached({.from = from});
    if (!result.has_value()) result = *log->Scan({.from = from});
    for (const EventRecord& record : result->records)
      seen[record.sequence] = std::string(record.id);
    from = result->next;
    if (result->records.empty()) std::this_thread::yield();
  }
  done.wait();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, accepted);
  listener.reset();
  log.reset();
  log = *SegmentLog::Open(options, PosixFiles(), SystemClock());
  EXPECT_EQ(log->head(), Sequence{kThreads * kCalls * kEvents});
  EXPECT_THAT(log->Health().notes, IsEmpty());
  log.reset();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace penstock::broker
