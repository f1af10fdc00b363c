// The delivery engine alone: positions in, sends out, results back, transactions thrown away.
#include <benchmark/benchmark.h>

#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr Sequence kEventsPerStep = 64;

// Plays the runner, and executors that answer at once.
class Loop {
 public:
  Loop(const DeliverySettings& settings, int lanes) : engine_(EngineOptions{}, 0) {
    engine_.Settled(now_, out_);
    engine_.SetCapacity(1024, now_, out_);
    for (int i = 0; i < lanes; ++i) {
      uids_.push_back("subscription-" + std::to_string(100'000 + i));
      engine_.Add(uids_.back(), settings, {}, now_, out_);
    }
  }

  // Takes so many new events through, each to one lane in turn.
  std::uint64_t Step() {
    matches_.clear();
    for (Sequence i = 0; i < kEventsPerStep; ++i) {
      ++head_;
      matches_.push_back({uids_[head_ % uids_.size()], {head_, now_.wall, 1 + head_ % 1000, 256}});
    }
    engine_.Matched(matches_, head_, now_, out_);
    std::uint64_t sent = 0;
    while (!out_.sends.empty()) sent += Answer();
    if (std::exchange(out_.transaction, {})) engine_.Persisted(now_, out_);
    now_.monotonic += 200us;
    now_.wall += 200us;
    return sent;
  }

 private:
  std::uint64_t Answer() {
    results_.clear();
    for (const SendOrder& order : std::exchange(out_.sends, {})) {
      DeliveryResult& result = results_.emplace_back();
      result.key = order.key;
      result.attempt = order.attempt;
      for (const Sequence sequence : order.batch) {
        results_.emplace_back(results_.back()).key.sequence = sequence;
      }
    }
    engine_.Finished(results_, now_, out_);
    return results_.size();
  }

  EngineTime now_{FromUnixMicros(1'700'000'000'000'000), MonotonicTime(1h)};
  DeliveryEngine engine_;
  EngineOutput out_;
  std::vector<std::string> uids_;
  std::vector<DeliveryEngine::Match> matches_;
  std::vector<DeliveryResult> results_;
  Sequence head_ = 0;
};

void Measure(benchmark::State& state, const DeliverySettings& settings, int lanes) {
  Loop loop(settings, lanes);
  std::uint64_t events = 0;
  for (auto _ : state) events += loop.Step();
  state.SetItemsProcessed(static_cast<std::int64_t>(events));
}

DeliverySettings ToFunction() {
  DeliverySettings settings;
  settings.space = "s";
  settings.targets = {"spaces/s/functions/f"};
  settings.in_flight_max = 256;
  return settings;
}

void BM_Unordered(benchmark::State& state) {
  Measure(state, ToFunction(), static_cast<int>(state.range(0)));
}
BENCHMARK(BM_Unordered)->Arg(1)->Arg(1000);

void BM_Ordered(benchmark::State& state) {
  DeliverySettings settings = ToFunction();
  settings.ordered = true;
  Measure(state, settings, static_cast<int>(state.range(0)));
}
BENCHMARK(BM_Ordered)->Arg(1)->Arg(1000);

void BM_Batches(benchmark::State& state) {
  DeliverySettings settings = ToFunction();
  settings.batch.events_max = 32;
  Measure(state, settings, 1);
}
BENCHMARK(BM_Batches);

}  // namespace
}  // namespace penstock::broker
