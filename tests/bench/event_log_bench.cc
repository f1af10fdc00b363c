// Appends a second in synced batches on real files, deduplication on. The files lie in the current
// folder's "event_log_bench.data"; run it on the disk to be measured.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <semaphore>

#include "libs/base/ids.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {
namespace {

constexpr char kFolder[] = "event_log_bench.data";

std::vector<AppendRequest> MakeEvents(std::uint64_t& number, std::size_t count,
                                      const std::string& body) {
  std::vector<AppendRequest> events(count);
  for (AppendRequest& event : events) {
    event.space = "default";
    event.type = "com.example.order.created";
    event.source = "/shop/checkout";
    event.id = fmt::format("0f8c2a56-7f3e-4c5b-{:016x}", ++number);
    event.body = SharedBytes(body);
  }
  return events;
}

// One batch is appended and waited for, then the next: the rate of synced batches of exactly this
// size.
void BM_SyncedBatches(benchmark::State& state) {
  std::filesystem::remove_all(kFolder);
  SegmentLogOptions options;
  options.folder = kFolder;
  auto log = SegmentLog::Open(options, PosixFiles(), SystemClock());
  if (!log.ok()) return state.SkipWithError(std::string(log.status().message()).c_str());
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::string body(static_cast<std::size_t>(state.range(1)), 'x');
  std::uint64_t number = 0;
  std::binary_semaphore durable(0);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<AppendRequest> events = MakeEvents(number, count, body);
    state.ResumeTiming();
    const absl::Status queued =
        (*log)->Append(std::move(events), [&](std::vector<AppendResult>) { durable.release(); });
    if (!queued.ok()) return state.SkipWithError("the append was refused");
    durable.acquire();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  log->reset();
  std::filesystem::remove_all(kFolder);
}
BENCHMARK(BM_SyncedBatches)
    ->ArgNames({"batch", "bytes"})
    ->Args({16, 256})
    ->Args({64, 256})
    ->Args({256, 256})
    ->Args({64, 1024})
    ->Args({16, 16384})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// Four publishers that keep 64 calls of 16 events each on their way: batches grow to what waits.
void BM_ConcurrentPublishers(benchmark::State& state) {
  static std::unique_ptr<SegmentLog> log;
  if (state.thread_index() == 0) {
    std::filesystem::remove_all(kFolder);
    SegmentLogOptions options;
    options.folder = kFolder;
    auto opened = SegmentLog::Open(options, PosixFiles(), SystemClock());
    if (!opened.ok()) return state.SkipWithError("the log did not open");
    log = *std::move(opened);
  }
  const std::string body(256, 'x');
  std::uint64_t number = static_cast<std::uint64_t>(state.thread_index()) << 40;
  std::counting_semaphore<64> room(64);
  for (auto _ : state) {
    room.acquire();
    const absl::Status queued = log->Append(MakeEvents(number, 16, body),
                                            [&](std::vector<AppendResult>) { room.release(); });
    if (!queued.ok()) room.release();
  }
  for (int i = 0; i < 64; ++i) room.acquire();
  state.SetItemsProcessed(state.iterations() * 16);
  if (state.thread_index() == 0) {
    log.reset();
    std::filesystem::remove_all(kFolder);
  }
}
BENCHMARK(BM_ConcurrentPublishers)->Threads(4)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace penstock::broker
