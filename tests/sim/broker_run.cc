#include "tests/sim/broker_run.h"

#include <algorithm>
#include <utility>

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

constexpr Microseconds kIdle = 1s;

}  // namespace

BrokerRun::BrokerRun(Surroundings surroundings, std::function<bool()> powered,
                     std::function<void()> on_power_lost)
    : with_(std::move(surroundings)),
      world_(with_.world),
      powered_(std::move(powered)),
      on_power_lost_(std::move(on_power_lost)),
      store_(with_.world, with_.state, with_.flaw) {}

bool BrokerRun::Start() {
  const std::int64_t epoch = store_.epoch();
  world_.Note("broker {} starts", epoch);
  DeliveryStart start;
  start.saved = *store_.LoadDeliveryState();
  start.replays = *store_.LoadReplays();
  SegmentLogOptions options = with_.log;
  options.sequence_floor = start.saved.matched_through;
  auto log = SegmentLog::Open(options, with_.files, world_.clock);
  if (!log.ok()) {
    world_.Violation("P1: the log does not open: {}", std::string(log.status().message()));
    return false;
  }
  log_ = std::make_unique<SimLog>(world_, *std::move(log), with_.flaw, [this] { Committed(); });
  if (const LogHealth health = log_->Health(); !health.lost.empty()) {
    world_.Violation("P1: the log is damaged: {}", health.lost.front().reason);
    return false;
  }
  with_.oracle.CheckLog(log_->inner());
  store_.on_commit = [this](const StateTransaction& transaction) {
    with_.oracle.OnCommit(transaction);
  };
  catalog_ = std::make_unique<SimCatalog>(*log_, store_, with_.oracle, with_.flaw);
  catalog_->Load(*store_.LoadRevisions());
  catalog_->Fill(start);
  catalog_->Connect([this](std::shared_ptr<const Subscription> subscription) {
    Command([subscription](DeliveryShell& shell) { shell.Change(subscription); });
  });
  invoker_ = with_.executors.Connect(epoch);
  pull_ = with_.consumers.Connect(epoch);
  with_.oracle.OnBrokerStart(epoch);
  DeliveryOptions delivery;
  delivery.engine = with_.engine;
  delivery.engine.seed = static_cast<std::uint64_t>(epoch);
  delivery.catch_up.pass_events = 64;
  delivery.catch_up.share_span = 50;
  const auto on_drained = [this](const std::string& uid, Sequence drain_to) {
    world_.Note("drained {} to {}", uid, drain_to);
  };
  shell_ =
      std::make_unique<DeliveryShell>(DeliveryPorts{*log_, store_, *invoker_, pull_.get(),
                                                    *catalog_, with_.delivery_clock, on_drained},
                                      *this, delivery, stats_);
  shell_->Start(std::move(start));
  catalog_->CompletePending();
  Wake(Microseconds(0));
  return true;
}

BrokerRun::~BrokerRun() {
  *alive_ = false;
  if (log_ != nullptr) log_->Stop();
}

void BrokerRun::Crash() {
  *alive_ = false;
  store_.Crash();
  if (log_ != nullptr) log_->Crash();
  with_.executors.BrokerDied();
  with_.consumers.BrokerDied();
  with_.oracle.OnBrokerDied();
}

void BrokerRun::Publish(AppendRequest request, std::function<void(const AppendResult&)> done) {
  std::vector<AppendRequest> requests;
  requests.push_back(std::move(request));
  const absl::Status queued =
      log_->Append(std::move(requests),
                   [done](const std::vector<AppendResult>& results) { done(results.front()); });
  if (!queued.ok()) done({AppendVerdict::kFailed, kNoSequence, false, queued});
}

void BrokerRun::Command(std::function<void(DeliveryShell&)> command) {
  Post([this, command = std::move(command)] { command(*shell_); });
}

void BrokerRun::Post(Message message) {
  if (!*alive_) return;
  mailbox_.push_back(std::move(message));
  Wake(world_.dice.Delay(1, 40));
}

void BrokerRun::Run(Lane lane, std::function<Message()> work) {
  if (!*alive_) return;
  MonotonicTime& busy = busy_until_[static_cast<std::size_t>(lane)];
  busy = std::max(busy, world_.clock.Monotonic()) + world_.dice.Delay(20, 4'000);
  world_.After(busy - world_.clock.Monotonic(), [this, alive = alive_, work = std::move(work)] {
    if (*alive) Post(work());
  });
}

void BrokerRun::Wake(Microseconds delay) {
  if (std::exchange(woken_, true)) return;
  world_.After(delay, [this, alive = alive_] {
    if (*alive) Turn();
  });
}

void BrokerRun::Turn() {
  woken_ = false;
  for (const Message& message : std::exchange(mailbox_, {})) message();
  shell_->Step();
  with_.oracle.OnStep(shell_->engine(), shell_->loading());
  if (!mailbox_.empty() || shell_->head_waits()) return Wake(world_.dice.Delay(20, 200));
  Arm();
}

void BrokerRun::Arm() {
  Microseconds wait = kIdle;
  if (const auto wake_at = shell_->wake_at()) {
    wait = std::clamp(*wake_at - with_.delivery_clock.Monotonic(), Microseconds(0), wait);
  }
  world_.After(wait, [this, alive = alive_, timer = ++timer_] {
    if (*alive && timer == timer_ && !woken_) Turn();
  });
}

void BrokerRun::Committed() {
  if (!powered_()) return on_power_lost_();
  with_.oracle.ReadLog(log_->inner());
  Wake(world_.dice.Delay(1, 100));
}

}  // namespace penstock::broker::sim
