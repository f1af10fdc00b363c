// From the append to the end of the delivery, with the real log and state, and executors that
// answer at once. Files lie in "delivery_bench.data" of the current folder.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/event-broker/delivery/delivery_runner.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/state/sqlite_state_store.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {
namespace {

constexpr char kFolder[] = "delivery_bench.data";
constexpr std::size_t kBatch = 256;

// Succeeds at once, and tells when it has seen as many as were asked for.
class NoopInvoker final : public Invoker {
 public:
  void Start(Listener listener) override {
    listener_ = std::move(listener);
    listener_.on_capacity(4096);
    listener_.on_settled();
  }
  void Send(std::vector<InvocationOrder> orders) override {
    std::vector<DeliveryResult> results;
    results.reserve(orders.size());
    for (InvocationOrder& order : orders) {
      DeliveryResult& result = results.emplace_back();
      result.key = std::move(order.key);
      result.attempt = order.attempt;
    }
    listener_.on_results(std::move(results));
    const std::lock_guard lock(mutex_);
    seen_ += orders.size();
    changed_.notify_all();
  }
  void Cancel(const DeliveryKey&, int) override {}
  void Stop() override {}

  void WaitFor(std::uint64_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return seen_ >= count; });
  }

 private:
  Listener listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t seen_ = 0;
};

class EveryFunction final : public FunctionReferences {
 public:
  void Acquire(Reference, std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    done(1);
  }
  void Release(Reference, std::function<void(absl::Status)> done) override {
    done(absl::OkStatus());
  }
  void Reconcile(std::vector<Reference>,
                 std::function<void(absl::StatusOr<std::vector<Reference>>)> done) override {
    done(std::vector<Reference>());
  }
};

// The broker without its faces. Aborts where something does not work.
class Broker {
 public:
  Broker() {
    auto store = SqliteStateStore::Open(std::string(kFolder) + "/state.db");
    store_ = *std::move(store);
    SavedDeliveryState saved = *store_->LoadDeliveryState();
    SegmentLogOptions options;
    options.folder = std::string(kFolder) + "/log";
    options.sequence_floor = saved.matched_through;
    log_ = *SegmentLog::Open(options, PosixFiles(), SystemClock());
    catalog_ = std::make_unique<SubscriptionCatalog>(*log_, *store_, references_, SystemClock(),
                                                     [](const std::function<void()>& work) {
                                                       work();
                                                       return true;
                                                     });
    catalog_->Load(*store_->LoadRevisions());
    runner_ = std::make_unique<DeliveryRunner>(
        DeliveryPorts{*log_, *store_, invoker_, nullptr, *catalog_, SystemClock(), {}},
        DeliveryOptions{});
    catalog_->Connect(*runner_);
    runner_->Start({std::move(saved), catalog_->Revisions(), catalog_->All(), {}});
    catalog_->CompletePending();
  }
  ~Broker() {
    runner_->Stop(std::chrono::seconds(10));
    log_->Stop();
    store_->Stop();
  }

  void Subscribe(bool paused) {
    Subscription subscription;
    subscription.space = "shop";
    subscription.id = "all";
    subscription.event_type = "order.paid";
    subscription.function = "bill";
    subscription.in_flight_max = 1024;
    Await([&](auto done) { catalog_->Create({std::move(subscription), false, ""}, done); });
    if (paused) Await([&](auto done) { catalog_->Pause("shop", "all", done); });
  }
  void Resume() {
    Await([&](auto done) { catalog_->Resume("shop", "all", done); });
  }

  // Appends `count` events in batches, some of them on their way at the same time.
  void Publish(std::uint64_t count) {
    const std::string body(256, 'x');
    std::mutex mutex;
    std::condition_variable room;
    std::size_t under_way = 0;
    for (std::uint64_t at = 0; at < count; at += kBatch) {
      std::vector<AppendRequest> batch(std::min<std::uint64_t>(kBatch, count - at));
      for (AppendRequest& event : batch) {
        event.space = "shop";
        event.type = "order.paid";
        event.source = "/bench";
        event.id = fmt::format("{:016x}", ++next_);
        event.body = SharedBytes(body);
      }
      std::unique_lock lock(mutex);
      room.wait(lock, [&] { return under_way < 16; });
      ++under_way;
      lock.unlock();
      const absl::Status queued = log_->Append(std::move(batch), [&](std::vector<AppendResult>) {
        const std::lock_guard done(mutex);
        --under_way;
        room.notify_all();
      });
      if (!queued.ok()) std::abort();
    }
    std::unique_lock lock(mutex);
    room.wait(lock, [&] { return under_way == 0; });
  }
  void WaitForDelivered(std::uint64_t count) { invoker_.WaitFor(count); }
  void WaitForMatched() {
    while (runner_->stats().matched_through < log_->head()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  template <typename Call>
  static void Await(const Call& call) {
    std::promise<absl::Status> answer;
    call([&](const absl::StatusOr<SubscriptionCatalog::Changed>& changed) {
      answer.set_value(changed.status());
    });
    if (!answer.get_future().get().ok()) std::abort();
  }

  EveryFunction references_;
  NoopInvoker invoker_;
  std::unique_ptr<SqliteStateStore> store_;
  std::unique_ptr<SegmentLog> log_;
  std::unique_ptr<SubscriptionCatalog> catalog_;
  std::unique_ptr<DeliveryRunner> runner_;
  std::uint64_t next_ = 0;
};

std::uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

void EmptyFolder() {
  std::filesystem::remove_all(kFolder);
  std::filesystem::create_directory(kFolder);
}

void BM_PublishAndDeliver(benchmark::State& state) {
  EmptyFolder();
  const auto count = static_cast<std::uint64_t>(state.range(0));
  {
    Broker broker;
    broker.Subscribe(false);
    std::uint64_t delivered = 0;
    for (auto _ : state) {
      broker.Publish(count);
      delivered += count;
      broker.WaitForDelivered(delivered);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  std::filesystem::remove_all(kFolder);
}
BENCHMARK(BM_PublishAndDeliver)
    ->ArgNames({"events"})
    ->Args({200'000})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// A paused subscription with so many events behind it: what they take in memory, how long a start
// with them does, and how fast they are delivered afterwards.
void BM_RestartWithPending(benchmark::State& state) {
  EmptyFolder();
  const auto count = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t memory = 0;
  {
    Broker broker;
    broker.Subscribe(true);
    broker.WaitForMatched();
    const std::uint64_t before = ResidentBytes();
    broker.Publish(count);
    broker.WaitForMatched();
    memory = ResidentBytes() - std::min(before, ResidentBytes());
  }
  double drain_seconds = 0;
  for (auto _ : state) {
    auto broker = std::make_unique<Broker>();
    broker->WaitForMatched();
    state.PauseTiming();
    const auto start = std::chrono::steady_clock::now();
    broker->Resume();
    broker->WaitForDelivered(count);
    drain_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    broker.reset();
    state.ResumeTiming();
  }
  state.counters["pending_memory_MiB"] = static_cast<double>(memory) / (1 << 20);
  state.counters["drained_per_second"] = static_cast<double>(count) / drain_seconds;
  std::filesystem::remove_all(kFolder);
}
BENCHMARK(BM_RestartWithPending)
    ->ArgNames({"pending"})
    ->Args({1'000'000})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1)
    ->UseRealTime();

}  // namespace
}  // namespace penstock::broker
