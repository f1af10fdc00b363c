#include "tests/sim/scenario.h"

#include <algorithm>
#include <set>
#include <utility>

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

// How long the faults last, and within which virtual time all has to be done after them.
constexpr Microseconds kFaultsFor = 25s;
constexpr Microseconds kOthersDoneWithin = 5min;
constexpr Microseconds kAllDoneWithin = 15min;
constexpr std::uint64_t kNever = std::uint64_t{1} << 40;

}  // namespace

RunResult RunSeed(std::uint64_t seed, Flaw flaw, bool trace) {
  return Scenario(seed, flaw, trace).Run();
}

Scenario::Scenario(std::uint64_t seed, Flaw flaw, bool trace)
    : world_(seed, trace),
      flaw_(flaw),
      mood_(DrawMood(world_.dice)),
      engine_(DrawEngine(world_.dice, mood_)),
      log_options_(DrawLog(world_.dice, mood_)),
      delivery_clock_(world_.clock, flaw == Flaw::kWallTimers),
      disk_(seed),
      unsynced_(disk_),
      oracle_(world_, engine_, {mood_.retention, mood_.skips}),
      executors_(world_, oracle_, flaw, mood_.executors, mood_.slots),
      consumers_(world_, oracle_) {}

Scenario::Mood Scenario::DrawMood(Dice& dice) {
  Mood mood;
  mood.events = dice.Between(100, 700);
  mood.executors = dice.Between(1, 3);
  mood.slots = dice.Between(2, 12);
  mood.crashes = dice.Chance(0.15) ? 0 : 0.02 * dice.Between(1, 12);
  mood.cuts = 0.1 * dice.Between(0, 6);
  mood.commands = 0.2 * dice.Between(0, 6);
  mood.jumps = dice.Chance(0.4) ? 0.05 * dice.Between(1, 4) : 0;
  mood.storm = dice.Chance(0.25);
  mood.outages = dice.Chance(0.4);
  mood.retention = dice.Chance(0.3);
  mood.skips = mood.retention && dice.Chance(0.3);
  if (mood.storm) {
    mood.slots = 2;
    mood.events = 600;
  }
  return mood;
}

EngineOptions Scenario::DrawEngine(Dice& dice, const Mood& mood) {
  EngineOptions engine;
  engine.window = static_cast<std::size_t>(dice.Between(4, 48));
  if (mood.storm) engine.window = 200;
  engine.rows_max = static_cast<std::size_t>(dice.Between(20, 300));
  engine.acked_max = static_cast<std::size_t>(dice.Between(4, 40));
  engine.results_per_flush = static_cast<std::size_t>(dice.Between(1, 64));
  engine.flush_interval = dice.Delay(1'000, 150'000);
  engine.dead_letters_max = dice.Chance(0.2) ? 10 : 1'000;
  engine.target_window_first = dice.Between(4, 32);
  engine.target_window_max = 64;
  engine.doubt_max = 20s;
  engine.breaker.failures_min = dice.Between(4, 8);
  engine.breaker.open_first = dice.Delay(200'000, 1'500'000);
  engine.breaker.open_max = 5s;
  if (dice.Chance(0.5)) engine.delivery_cost_bytes = 100;
  return engine;
}

SegmentLogOptions Scenario::DrawLog(Dice& dice, const Mood& mood) {
  SegmentLogOptions log;
  log.folder = "log";
  log.segment_bytes = static_cast<std::uint64_t>(dice.Between(4, 40)) << 10;
  log.set_aside_bytes = (log.segment_bytes >> 10) % 3 << 12;
  log.cache_bytes_max = static_cast<std::size_t>(dice.Between(0, 40)) << 10;
  log.reserve_bytes = 4096;
  log.dedup_entries_max = 100'000;
  log.dedup_window = std::chrono::hours(24);
  log.own_thread = false;
  if (mood.retention) {
    log.retention.bytes = 2 * log.segment_bytes;
    log.retention.pin_bytes_max = mood.skips ? log.segment_bytes : std::uint64_t{1} << 40;
  }
  return log;
}

void Scenario::Boot() {
  Surroundings with{world_,
                    oracle_,
                    flaw_ == Flaw::kAckBeforeSync ? static_cast<FileSystem&>(unsynced_) : disk_,
                    state_,
                    executors_,
                    consumers_,
                    delivery_clock_,
                    flaw_,
                    engine_,
                    log_options_};
  if (flaw_ == Flaw::kRetriesFirst) with.engine.retry_share = 1;
  if (flaw_ == Flaw::kAttemptsWhileOpen) {
    with.engine.breaker.failures_min = 1'000'000;
    with.engine.breaker.failure_share = 2;
  }
  broker_ = std::make_unique<BrokerRun>(
      std::move(with), [this] { return disk_.powered(); }, [this] { PowerLost(); });
  broker_->Start();
}

void Scenario::CrashNow() {
  if (broker_ == nullptr || Broken()) return;
  ++crashes_;
  world_.Note("the broker dies");
  broker_->Crash();
  graveyard_.push_back(std::move(broker_));
  disk_.Restart();
  const Microseconds away = calm_ ? Microseconds(100'000) : world_.dice.Delay(10'000, 3'000'000);
  world_.After(away, [this] {
    if (!Broken()) Boot();
  });
}

// In the middle of a commit; the caller is the broker itself.
void Scenario::PowerLost() {
  world_.After(Microseconds(0), [this] { CrashNow(); });
  broker_->Crash();
}

void Scenario::RunFor(Microseconds time) {
  const MonotonicTime until = world_.clock.Monotonic() + time;
  while (!Broken() && world_.RunNext(until)) {
  }
}

// About so often, until the faults stop.
void Scenario::Every(double per_second, std::function<void()> what) {
  if (per_second <= 0) return;
  const auto most = static_cast<std::int64_t>(2e6 / per_second);
  world_.After(world_.dice.Delay(0, most), [this, per_second, what = std::move(what)] {
    if (calm_) return;
    what();
    Every(per_second, what);
  });
}

RunResult Scenario::Run() {
  DrawFunctions();
  Boot();
  const int subscriptions = world_.dice.Between(2, 6);
  for (int i = 0; i < subscriptions; ++i) broker_->catalog().Save(DrawSubscription());
  const double seconds = static_cast<double>(kFaultsFor.count()) / 1e6;
  Every(mood_.events / seconds / 4, [this] { PublishSome(); });
  Every(mood_.crashes, [this] {
    // Half of them in the middle of what the log writes next.
    if (broker_ == nullptr) return;
    if (world_.dice.Chance(0.5)) return CrashNow();
    disk_.CutPowerAfter(static_cast<std::uint64_t>(world_.dice.Between(1, 6)));
  });
  Every(mood_.cuts, [this] { executors_.CutStream(); });
  Every(mood_.cuts / 3, [this] { executors_.CrashExecutor(); });
  Every(mood_.commands, [this] { CommandSome(); });
  Every(mood_.jumps, [this] { JumpClock(); });
  if (mood_.outages) Every(0.3, [this] { StartOutage(); });
  if (mood_.retention) Every(1, [this] { ApplyRetention(); });
  RunFor(kFaultsFor);
  if (!Broken()) Finish();
  RunResult result;
  result.digest = world_.digest();
  result.violation = world_.violation();
  result.steps = world_.steps();
  result.calls = oracle_.calls();
  result.records = oracle_.records();
  result.crashes = crashes_;
  if (broker_ != nullptr) broker_->Crash();
  world_.End();
  disk_.Restart();  // So that logs that are closed now write nothing.
  return result;
}

void Scenario::Finish() {
  world_.Note("calm");
  calm_ = true;
  disk_.CutPowerAfter(kNever);
  executors_.Calm();
  RunFor(4s);  // A broker that is away comes back.
  if (Broken()) return;
  const auto others = [this] { return oracle_.UnfinishedBesidesPoison(state_, FullLanes()); };
  if (!WaitUntilDone(kOthersDoneWithin, others)) return;
  world_.Note("cured");
  executors_.CurePoison();
  if (!WaitUntilDone(kAllDoneWithin, [this] { return oracle_.Unfinished(state_); })) return;
  RunFor(5s);
  if (!Broken()) oracle_.CheckEnd(state_);
}

bool Scenario::WaitUntilDone(Microseconds bound, const std::function<std::string()>& reason) {
  const MonotonicTime until = world_.clock.Monotonic() + bound;
  std::string why = "nothing";
  while (!Broken() && world_.clock.Monotonic() < until) {
    CalmCommands();
    RunFor(2s);
    why = reason();
    if (why.empty()) return !Broken();
  }
  if (!Broken()) {
    Describe();
    world_.Violation("P4: {} s after the faults stopped: {}", bound.count() / 1'000'000, why);
  }
  return false;
}

std::set<std::string> Scenario::FullLanes() const {
  std::set<std::string> full;
  if (broker_ == nullptr) return full;
  for (const Subscription& subscription : broker_->catalog().Live()) {
    const auto progress = broker_->shell().engine().Progress(subscription.uid);
    if (progress && progress->block == LaneBlock::kKeyBacklog) full.insert(subscription.uid);
  }
  return full;
}

// For whoever reads the trace.
void Scenario::Describe() {
  if (broker_ == nullptr) return;
  const DeliveryEngine& engine = broker_->shell().engine();
  world_.Note("matched through {} of {}, {} in flight, dead letters at most {}",
              engine.matched_through(), broker_->log().head(), engine.in_flight(),
              engine_.dead_letters_max);
  std::vector<std::string> lanes;
  for (const Subscription& subscription : broker_->catalog().Live()) {
    lanes.push_back(subscription.uid);
  }
  for (const auto& [lane, replay] : state_.replays) lanes.push_back(lane);
  for (const std::string& lane : lanes) {
    const auto progress = engine.Progress(lane);
    if (!progress) continue;
    world_.Note("{}: floor {} waiting {} in flight {} retrying {} held {} block {} breaker {}{}",
                lane, progress->floor, progress->waiting, progress->in_flight, progress->retrying,
                progress->held, static_cast<int>(progress->block),
                static_cast<int>(progress->breaker), progress->catching_up ? " catching up" : "");
    if (const auto rows = state_.delivery.rows.find(lane); rows != state_.delivery.rows.end()) {
      for (const RetryRow& row : rows->second) {
        world_.Note(
            "  row {} kind {} member {} made {} sent {} due in {} ms delay {} ms redrives {}",
            row.position.sequence, static_cast<int>(row.kind), row.member, row.attempts_made,
            row.attempts_sent, (row.due - world_.clock.Wall()).count() / 1000,
            row.delay.count() / 1000, row.redrives);
      }
    }
  }
}

// What a person would do: resume what stands still, and make room for dead letters.
void Scenario::CalmCommands() {
  if (broker_ == nullptr) return;
  std::vector<std::string> pulls;
  for (const Subscription& subscription : broker_->catalog().Idle()) {
    if (subscription.pull) pulls.push_back(subscription.uid);
    if (subscription.state != SubscriptionState::kActive || subscription.drain_to != kNoSequence) {
      Steer(subscription, SubscriptionState::kActive);
    }
  }
  consumers_.Calm(pulls);
  for (const auto& [lane, replay] : state_.replays) {
    if (replay.state != ReplayState::kPaused) continue;
    broker_->store().SetReplayState(replay.uid, replay.replay, ReplayState::kRunning,
                                    world_.clock.Wall(), [](const auto&) {});
    broker_->Command([lane = lane](DeliveryShell& shell) { shell.SetReplayPaused(lane, false); });
  }
  std::map<std::string, std::size_t> letters;
  for (const auto& [key, letter] : state_.dead) {
    ++letters[std::string(SubscriptionOfLane(key.uid))];
  }
  const bool full = std::any_of(letters.begin(), letters.end(), [this](const auto& entry) {
    return entry.second * 2 >= engine_.dead_letters_max;
  });
  if (full) PurgeAll();
}

void Scenario::PurgeAll() {
  broker_->store().ListDeadLetters({}, [this](absl::StatusOr<DeadLetterPage> page) {
    if (!page.ok() || page->letters.empty()) return;
    std::vector<DeliveryKey> keys;
    for (const StoredDeadLetter& letter : page->letters) keys.push_back(letter.delivery.key);
    for (const DeliveryKey& key : keys) oracle_.OnPurge(key);
    world_.Note("purge {}", keys.size());
    broker_->store().PurgeDeadLetters(
        keys, [this, letters = page->letters](const absl::StatusOr<std::int64_t>&) {
          broker_->Command([letters](DeliveryShell& shell) { shell.Purged(letters); });
        });
  });
}

}  // namespace penstock::broker::sim
