// The promises of ports/event_log.h, for every implementation.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include "libs/base/status.h"
#include "tests/contract/event-log/log_under_test.h"

namespace penstock::broker {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

AppendRequest Event(const std::string& id, const std::string& body = std::string(200, 'x')) {
  AppendRequest request;
  request.space = "default";
  request.type = "created";
  request.source = "/shop";
  request.id = id;
  request.body = SharedBytes(body);
  return request;
}

class EventLogContract : public testing::TestWithParam<LogKind> {
 protected:
  EventLogContract() : tested_(GetParam().make()) {}

  EventLog& log() { return tested_->log(); }

  std::vector<AppendResult> Append(std::vector<AppendRequest> requests) {
    std::promise<std::vector<AppendResult>> answer;
    const absl::Status queued = log().Append(
        std::move(requests),
        [&answer](std::vector<AppendResult> results) { answer.set_value(std::move(results)); });
    EXPECT_TRUE(queued.ok()) << queued.ToString();
    if (!queued.ok()) return {};
    return answer.get_future().get();
  }
  AppendResult AppendOne(AppendRequest request) { return Append({std::move(request)}).at(0); }
  void AppendMany(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(AppendOne(Event(fmt::format("e{}", i))).verdict, AppendVerdict::kAccepted);
    }
  }
  std::vector<std::string> ReadAll(const ScanFilter& filter = {}) {
    std::vector<std::string> ids;
    for (Sequence from = log().horizon(); from <= log().head();) {
      const auto result = log().Scan({.from = from, .events_max = 7, .filter = filter});
      EXPECT_TRUE(result.ok()) << result.status().ToString();
      if (!result.ok() || result->next <= from) break;
      for (const EventRecord& record : result->records) ids.emplace_back(record.id);
      from = result->next;
    }
    return ids;
  }

  const std::unique_ptr<LogUnderTest> tested_;
};

TEST_P(EventLogContract, AnEmptyLogHasNoHeadAndItsHorizonIsAheadOfIt) {
  EXPECT_EQ(log().head(), kNoSequence);
  EXPECT_EQ(log().horizon(), 1u);
  EXPECT_TRUE(log().Health().writable);
  const auto scan = log().Scan({.from = 1});
  ASSERT_TRUE(scan.ok());
  EXPECT_THAT(scan->records, IsEmpty());
  EXPECT_EQ(log().FirstAtOrAfter(WallTime()).value(), 1u);
  EXPECT_THAT(log().FindById({.space = "default", .id = "x"}).value(), IsEmpty());
}

TEST_P(EventLogContract, StoresEveryPartOfARecordAcrossARestart) {
  AppendRequest request = Event("1", std::string("\0binary\xff", 8));
  request.ordering_key = "customer-7";
  request.content_hash = 4711;
  const WallTime time = tested_->clock().Wall();
  ASSERT_EQ(AppendOne(request).sequence, 1u);
  for (int pass = 0; pass < 2; ++pass) {
    const auto record = log().Read(1);
    ASSERT_TRUE(record.ok()) << record.status().ToString();
    EXPECT_EQ(record->sequence, 1u);
    EXPECT_EQ(record->kind, RecordKind::kEvent);
    EXPECT_EQ(record->space, "default");
    EXPECT_EQ(record->type, "created");
    EXPECT_EQ(record->source, "/shop");
    EXPECT_EQ(record->id, "1");
    EXPECT_EQ(record->ordering_key, "customer-7");
    EXPECT_EQ(record->body, std::string_view("\0binary\xff", 8));
    EXPECT_EQ(record->content_hash, 4711u);
    EXPECT_EQ(record->append_time, time);
    tested_->Restart();
  }
}

TEST_P(EventLogContract, SequencesRiseThroughRestarts) {
  Sequence last = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const AppendResult result = AppendOne(Event(fmt::format("{}-{}", round, i)));
      EXPECT_GT(result.sequence, last);
      EXPECT_LE(result.sequence, log().head());
      last = result.sequence;
    }
    tested_->Restart();
    EXPECT_EQ(log().head(), last);
  }
  EXPECT_THAT(ReadAll(), SizeIs(60));
}

TEST_P(EventLogContract, TellsDuplicatesWithTheFirstSequenceAlsoAfterARestart) {
  ASSERT_EQ(AppendOne(Event("a")).sequence, 1u);
  for (int pass = 0; pass < 2; ++pass) {
    const auto results = Append({Event("a"), Event("a", "other")});
    EXPECT_EQ(results[0].verdict, AppendVerdict::kDuplicate);
    EXPECT_EQ(results[0].sequence, 1u);
    EXPECT_FALSE(results[0].content_differs);
    EXPECT_TRUE(results[1].content_differs);
    tested_->Restart();
  }
  AppendRequest elsewhere = Event("a");
  elsewhere.space = "team";
  EXPECT_EQ(AppendOne(elsewhere).verdict, AppendVerdict::kAccepted);
  // Many units of storage later and still in the window, before and after a restart.
  AppendMany(60);
  EXPECT_EQ(AppendOne(Event("a")).sequence, 1u);
  tested_->Restart();
  EXPECT_EQ(AppendOne(Event("a")).sequence, 1u);
  EXPECT_EQ(AppendOne(Event("e59")).verdict, AppendVerdict::kDuplicate);
}

TEST_P(EventLogContract, ForgetsDuplicatesOnceTheWindowIsOver) {
  AppendMany(30);
  tested_->clock().Advance(seconds(340));
  EXPECT_EQ(AppendOne(Event("e3")).verdict, AppendVerdict::kAccepted);
  tested_->Restart();
  EXPECT_EQ(AppendOne(Event("e4")).verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(AppendOne(Event("e3")).verdict, AppendVerdict::kDuplicate);
}

TEST_P(EventLogContract, WithoutAnIdAndAsControlRecordsNothingIsADuplicate) {
  AppendRequest control = Event("");
  control.kind = RecordKind::kControl;
  for (const AppendRequest& request : {Event(""), control}) {
    EXPECT_EQ(AppendOne(request).verdict, AppendVerdict::kAccepted);
    EXPECT_EQ(AppendOne(request).verdict, AppendVerdict::kAccepted);
  }
}

TEST_P(EventLogContract, AnUnacceptableRequestFailsAlone) {
  const auto results = Append({Event("a"), Event("b", std::string(70'000, 'x')), Event("c")});
  EXPECT_EQ(results[0].verdict, AppendVerdict::kAccepted);
  EXPECT_EQ(results[1].verdict, AppendVerdict::kFailed);
  EXPECT_EQ(results[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(results[2].verdict, AppendVerdict::kAccepted);
  EXPECT_THAT(ReadAll(), ElementsAre("a", "c"));
}

TEST_P(EventLogContract, AFullQueueRefusesTheWholeCallAtOnce) {
  const absl::Status refused =
      log().Append(std::vector<AppendRequest>(1001, Event("")), [](auto) { FAIL(); });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), kReasonQueueFull);
  EXPECT_EQ(AppendOne(Event("a")).sequence, 1u);
}

TEST_P(EventLogContract, AnnouncesTheHeadBeforeItAcknowledges) {
  std::atomic<Sequence> announced = 0;
  auto listener = log().OnHeadAdvanced([&](Sequence head) { announced = head; });
  for (int i = 0; i < 20; ++i) {
    std::promise<Sequence> seen;
    ASSERT_TRUE(
        log().Append({Event(fmt::format("{}", i))}, [&](auto) { seen.set_value(announced); }).ok());
    EXPECT_GE(seen.get_future().get(), static_cast<Sequence>(i + 1));
  }
  listener.reset();
  AppendOne(Event("silent"));
  EXPECT_EQ(announced, 20u);
}

TEST_P(EventLogContract, ScansWithinLimitsAndFilters) {
  for (int i = 0; i < 60; ++i) {
    AppendRequest request = Event(fmt::format("{}", i));
    if (i % 20 == 7) request.type = "rare";
    if (i % 20 == 9) request.space = "team";
    if (i % 20 == 11) request.ordering_key = "key";
    if (i == 30) request.kind = RecordKind::kControl;
    AppendOne(request);
  }
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_THAT(ReadAll(), SizeIs(60));
    EXPECT_THAT(ReadAll({.types = {"rare"}}), ElementsAre("7", "27", "30", "47"));
    EXPECT_THAT(ReadAll({.spaces = {"team"}}), ElementsAre("9", "29", "30", "49"));
    EXPECT_THAT(ReadAll({.ordering_key = "key"}), ElementsAre("11", "30", "31", "51"));
    EXPECT_THAT(ReadAll({.types = {"rare"}, .control_records = false}),
                ElementsAre("7", "27", "47"));
    EXPECT_THAT(log().Scan({.from = 10, .to = 12})->records, SizeIs(3));
    const auto limited = log().Scan({.from = 10, .events_max = 5});
    EXPECT_THAT(limited->records, SizeIs(5));
    EXPECT_EQ(limited->next, 15u);
    EXPECT_THAT(log().Scan({.from = 10, .bytes_max = 1})->records, SizeIs(1));
    EXPECT_EQ(log().Read(61).status().code(), absl::StatusCode::kNotFound);
    tested_->Restart();
  }
}

TEST_P(EventLogContract, TheCacheGivesWhatTheLogGivesOrNothing) {
  AppendMany(60);
  EXPECT_TRUE(log().ReadCached(60).has_value());
  for (Sequence sequence = 1; sequence <= 60; ++sequence) {
    const auto cached = log().ReadCached(sequence);
    if (!cached.has_value()) continue;
    EXPECT_EQ(cached->id, log().Read(sequence)->id);
  }
  EXPECT_FALSE(log().ReadCached(61).has_value());
}

TEST_P(EventLogContract, FindsByTimeWhicheverWayTheClockJumps) {
  const WallTime start = tested_->clock().Wall();
  for (int i = 0; i < 60; ++i) {
    tested_->clock().Advance(seconds(10));
    if (i == 20) tested_->clock().JumpWall(-seconds(100));
    if (i == 40) tested_->clock().JumpWall(hours(5));
    AppendOne(Event(fmt::format("{}", i)));
  }
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(log().FirstAtOrAfter(start).value(), 1u);
    EXPECT_EQ(log().FirstAtOrAfter(start + seconds(55)).value(), 6u);
    EXPECT_EQ(log().FirstAtOrAfter(start + seconds(200)).value(), 20u);
    // 20 s behind the jump back were met before it; then the clock had to catch up.
    EXPECT_EQ(log().FirstAtOrAfter(start + seconds(201)).value(), 31u);
    EXPECT_EQ(log().FirstAtOrAfter(start + seconds(301)).value(), 41u);
    EXPECT_EQ(log().FirstAtOrAfter(start + hours(5)).value(), 41u);
    EXPECT_EQ(log().FirstAtOrAfter(start + hours(6)).value(), 61u);
    tested_->Restart();
  }
}

TEST_P(EventLogContract, FindsByIdNewestFirst) {
  AppendOne(Event("wanted"));
  for (int i = 0; i < 30; ++i) AppendOne(Event(fmt::format("{}", i)));
  AppendRequest other = Event("wanted");
  other.source = "/other";
  AppendOne(other);
  for (int pass = 0; pass < 2; ++pass) {
    const auto found = log().FindById({.space = "default", .id = "wanted"});
    ASSERT_TRUE(found.ok());
    ASSERT_THAT(*found, SizeIs(2));
    EXPECT_EQ((*found)[0].sequence, 32u);
    EXPECT_EQ((*found)[1].sequence, 1u);
    const auto one =
        log().FindById({.space = "default", .id = "wanted", .source = "/shop", .matches_max = 1});
    ASSERT_THAT(*one, SizeIs(1));
    EXPECT_EQ((*one)[0].sequence, 1u);
    EXPECT_THAT(*log().FindById({.space = "team", .id = "wanted"}), IsEmpty());
    tested_->Restart();
  }
}

TEST_P(EventLogContract, WhatIsBelowTheHorizonIsOutOfRangeExactly) {
  AppendMany(60);
  tested_->clock().Advance(hours(2));
  for (int i = 0; i < 30; ++i) AppendOne(Event(fmt::format("new{}", i)));
  tested_->RetainFor(hours(1));
  const Sequence horizon = log().horizon();
  EXPECT_GT(horizon, 1u);
  EXPECT_LE(horizon, 61u);
  EXPECT_EQ(log().Read(horizon - 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(log().Scan({.from = horizon - 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(log().Read(horizon).ok());
  EXPECT_EQ(ReadAll().back(), "new29");
  EXPECT_EQ(log().head(), 90u);
  // Duplicates of what is left are known right after.
  EXPECT_EQ(AppendOne(Event("new29")).verdict, AppendVerdict::kDuplicate);
}

TEST_P(EventLogContract, APinReportsWhereItIsAndNeverGoesBack) {
  AppendMany(10);
  const auto pin = log().Pin(3, {.label = "subscription s", .space = "default"});
  EXPECT_EQ(pin->sequence(), 3u);
  pin->MoveTo(7);
  pin->MoveTo(5);
  EXPECT_EQ(pin->sequence(), 7u);
}

TEST_P(EventLogContract, StopCompletesWhatWaitsAndReadsGoOn) {
  std::latch answered(20);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(
        log().Append({Event(fmt::format("{}", i))}, [&](auto) { answered.count_down(); }).ok());
  }
  log().Stop();
  EXPECT_TRUE(answered.try_wait());
  EXPECT_EQ(ReasonOf(log().Append({Event("late")}, nullptr)), kReasonLogStopped);
  EXPECT_THAT(ReadAll(), SizeIs(20));
  log().Stop();
}

TEST_P(EventLogContract, ConcurrentPublishersGetOneOrder) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 50;
  std::mutex mutex;
  std::map<Sequence, std::string> accepted;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int c = 0; c < kCalls; ++c) {
        const std::string id = fmt::format("{}-{}", t, c);
        const AppendResult result = AppendOne(Event(id));
        EXPECT_EQ(result.verdict, AppendVerdict::kAccepted);
        EXPECT_EQ(log().Read(result.sequence)->id, id);
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(accepted.emplace(result.sequence, id).second);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::string> expected;
  for (const auto& [sequence, id] : accepted) expected.push_back(id);
  EXPECT_EQ(ReadAll(), expected);
  tested_->Restart();
  EXPECT_EQ(ReadAll(), expected);
}

INSTANTIATE_TEST_SUITE_P(All, EventLogContract, testing::ValuesIn(AllLogKinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace penstock::broker
