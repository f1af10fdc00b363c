// Appends a second in synced batches on real files, deduplication on, in an empty log and in one
// that holds millions of events; and how long a restart takes. The files lie in the current
// folder's "event_log_bench.data" (some 1.5 GB for 10 M events) and are removed at the end: run it
// on the disk to be measured. BM_BareSync tells what that disk costs.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <semaphore>

#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {
namespace {

constexpr char kFolder[] = "event_log_bench.data";
constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kStoredMany = 10 * kMillion;

std::vector<AppendRequest> MakeEvents(std::uint64_t& number, std::size_t count,
                                      const SharedBytes& body) {
  std::vector<AppendRequest> events(count);
  for (AppendRequest& event : events) {
    event.space = "default";
    event.type = "com.example.order.created";
    event.source = "/shop/checkout";
    event.id = fmt::format("0f8c2a56-7f3e-4c5b-{:016x}", ++number);
    event.body = body;
  }
  return events;
}

SegmentLogOptions OptionsFor(std::int64_t stored) {
  SegmentLogOptions options;
  options.folder = fmt::format("{}/{}", kFolder, stored);
  return options;
}

std::unique_ptr<SegmentLog> OpenLog(const SegmentLogOptions& options, const Clock& clock) {
  auto log = SegmentLog::Open(options, PosixFiles(), clock);
  if (log.ok()) return *std::move(log);
  fmt::print(stderr, "the log did not open: {}\n", std::string(log.status().message()));
  std::exit(1);
}

// Appends until `stored` events are there. Small bodies: what counts is their number.
void Fill(SegmentLog& log, std::int64_t stored) {
  constexpr std::size_t kCall = 4096;
  const SharedBytes body(std::string(16, 'x'));
  std::uint64_t number = std::uint64_t{1} << 62;
  std::counting_semaphore<8> room(8);
  for (std::int64_t done = 0; done < stored; done += kCall) {
    room.acquire();
    std::vector<AppendRequest> events = MakeEvents(number, kCall, body);
    for (AppendRequest& event : events) {
      event.type = "t";
      event.source = "/s";
    }
    const absl::Status queued =
        log.Append(std::move(events), [&](std::vector<AppendResult>) { room.release(); });
    if (!queued.ok()) std::exit(1);
  }
  for (int i = 0; i < 8; ++i) room.acquire();
}

// The log that holds `stored` events, filled at its first use and then kept open.
SegmentLog& LogWith(std::int64_t stored) {
  static std::map<std::int64_t, std::unique_ptr<SegmentLog>> logs;
  std::unique_ptr<SegmentLog>& log = logs[stored];
  if (log == nullptr) {
    std::filesystem::remove_all(OptionsFor(stored).folder);
    log = OpenLog(OptionsFor(stored), SystemClock());
    Fill(*log, stored);
  }
  return *log;
}

std::uint64_t next_number = 0;  // Of the events of this run; ids must not repeat.

// What one synced write of a batch's size costs without a log.
void BM_BareSync(benchmark::State& state) {
  std::filesystem::create_directories(kFolder);
  auto folder = PosixFiles().OpenFolder(kFolder);
  (*folder)->Unlink("bare").IgnoreError();
  auto file = (*folder)->Create("bare");
  const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
  const std::string_view pieces[] = {bytes};
  std::uint64_t offset = 0;
  for (auto _ : state) {
    if (!(*file)->WriteAt(offset, pieces).ok() || !(*file)->Sync().ok()) {
      return state.SkipWithError("the file cannot be written");
    }
    offset += bytes.size();
  }
}
BENCHMARK(BM_BareSync)->ArgName("bytes")->Arg(16 * 400)->Arg(256 * 400)->UseRealTime();

// One batch is appended and waited for, then the next: each costs a sync.
void BM_OneBatchAtATime(benchmark::State& state) {
  SegmentLog& log = LogWith(state.range(1));
  const auto count = static_cast<std::size_t>(state.range(0));
  const SharedBytes body(std::string(256, 'x'));
  std::binary_semaphore durable(0);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<AppendRequest> events = MakeEvents(next_number, count, body);
    state.ResumeTiming();
    const absl::Status queued =
        log.Append(std::move(events), [&](std::vector<AppendResult>) { durable.release(); });
    if (!queued.ok()) return state.SkipWithError("the append was refused");
    durable.acquire();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_OneBatchAtATime)
    ->ArgNames({"batch", "stored"})
    ->ArgsProduct({{16, 64, 256}, {0, kStoredMany}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// A publisher that has 16,384 events on their way in calls of `batch`: what waits goes into one
// synced write.
void BM_Publish(benchmark::State& state) {
  SegmentLog& log = LogWith(state.range(1));
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto calls = static_cast<std::ptrdiff_t>(16'384 / count);
  const SharedBytes body(std::string(static_cast<std::size_t>(state.range(2)), 'x'));
  std::counting_semaphore<16'384> room(calls);
  std::atomic<std::int64_t> refused = 0;
  for (auto _ : state) {
    room.acquire();
    const absl::Status queued = log.Append(MakeEvents(next_number, count, body),
                                           [&](const std::vector<AppendResult>& results) {
                                             for (const AppendResult& result : results) {
                                               if (result.verdict != AppendVerdict::kAccepted)
                                                 ++refused;
                                             }
                                             room.release();
                                           });
    if (!queued.ok()) {
      ++refused;
      room.release();
    }
  }
  for (std::ptrdiff_t i = 0; i < calls; ++i) room.acquire();
  state.SetItemsProcessed(state.iterations() * state.range(0));
  if (refused > 0) state.SkipWithError("events were not accepted");
}
BENCHMARK(BM_Publish)
    ->ArgNames({"batch", "stored", "bytes"})
    ->ArgsProduct({{16, 64, 256}, {0, kStoredMany}, {256}})
    ->Args({64, 0, 1024})
    ->MinTime(3)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// A clock that runs an hour ahead, so that nothing lies in the deduplication window.
class ClockAhead final : public Clock {
 public:
  WallTime Wall() const override { return SystemClock().Wall() + std::chrono::hours(1); }
  MonotonicTime Monotonic() const override { return SystemClock().Monotonic(); }
};

// Opening a log of `stored` events; with `window` as many of them as the table takes are in the
// window.
void BM_Restart(benchmark::State& state) {
  const std::int64_t stored = state.range(0);
  SegmentLogOptions options = OptionsFor(stored);
  options.folder += "-restart";
  std::filesystem::remove_all(options.folder);
  {
    const auto log = OpenLog(options, SystemClock());
    Fill(*log, stored);
  }
  const ClockAhead ahead;
  const Clock& clock = state.range(1) != 0 ? SystemClock() : ahead;
  double entries = 0;
  for (auto _ : state) {
    const auto log = OpenLog(options, clock);
    entries = static_cast<double>(log->Health().dedup_entries);
    if (log->head() < static_cast<Sequence>(stored)) state.SkipWithError("events are missing");
  }
  state.counters["dedup_entries"] = entries;
  std::filesystem::remove_all(options.folder);
}
BENCHMARK(BM_Restart)
    ->ArgNames({"stored", "window"})
    ->Args({kStoredMany, 0})
    ->Args({kStoredMany, 1})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(2)
    ->UseRealTime();

}  // namespace
}  // namespace penstock::broker

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  std::filesystem::remove_all(penstock::broker::kFolder);
  return 0;
}
