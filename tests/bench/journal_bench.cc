// What the record of a call costs the thread that ended it: the journal and the hand-over to the
// store's queue, while the store's own thread writes to a file. One record a turn, with bodies or
// without; "items" are records.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"
#include "services/function-executor/domain/execution_journal.h"
#include "services/function-executor/storage/sqlite_execution_store.h"

namespace penstock::executor {
namespace {

// Below what the store's queue takes between two writes, so that the share of the calling thread is
// measured and not the wait for a full queue.
constexpr int kRecordsPerRound = 5'000;

ExecutionRecord MakeRecord(int number) {
  ExecutionRecord record;
  record.id = "0f8c2a56-00000000000000" + std::to_string(number);
  record.space = "default";
  record.function = "hello";
  record.function_version = 3;
  record.start = SystemClock().Wall();
  record.caller = "user@example.com";
  record.instance = "0f8c2a56";
  record.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  return record;
}

// The argument: bytes of input and output each; 0 leaves bodies out.
void RecordCalls(benchmark::State& state) {
  std::string folder = (std::filesystem::temp_directory_path() / "journal-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return state.SkipWithError("no folder");
  {
    metrics::Registry metrics;
    auto store =
        SqliteExecutionStore::Open({.path = folder + "/executions.db"}, SystemClock(), metrics);
    if (!store.ok()) return state.SkipWithError(std::string(store.status().message()).c_str());
    const bool has_bodies = state.range(0) > 0;
    ExecutionJournal journal(**store, SystemClock(),
                             {.bodies_per_second = has_bodies ? 1'000'000'000 : 0});
    const auto input = std::make_shared<const std::string>(state.range(0), 'i');
    Outcome outcome;
    outcome.payload = std::make_shared<const std::string>(state.range(0), 'o');
    outcome.content_type = "application/json";
    int number = 0;
    for (auto _ : state) {
      if (++number % kRecordsPerRound == 0) {
        // Lets the writer catch up: a read waits for what was taken before it.
        state.PauseTiming();
        std::atomic<bool> written{false};
        (*store)->List({.space = "none", .limit = 1}, [&](const auto&) {
          written = true;
          written.notify_all();
        });
        written.wait(false);
        state.ResumeTiming();
      }
      journal.End(MakeRecord(number), input, "application/json", outcome, false, nullptr);
    }
    state.SetItemsProcessed(state.iterations());
    (*store)->Stop();
  }
  std::filesystem::remove_all(folder);
}

BENCHMARK(RecordCalls)->Arg(0)->Arg(256)->Arg(8 * 1024)->UseRealTime();

}  // namespace
}  // namespace penstock::executor
