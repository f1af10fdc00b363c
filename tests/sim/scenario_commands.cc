// What operators do, and what the world does to them.
#include <utility>

#include "tests/sim/scenario.h"

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

}  // namespace

void Scenario::CommandSome() {
  if (broker_ == nullptr) return;
  Dice& dice = world_.dice;
  const std::vector<Subscription> idle = broker_->catalog().Idle();
  if (idle.empty()) return;
  const Subscription& one = dice.Pick(idle);
  switch (dice.Below(12)) {
    case 0: return Steer(one, SubscriptionState::kPaused);
    case 1:
    case 2: return Steer(one, SubscriptionState::kActive);
    case 3: return Steer(one, SubscriptionState::kDraining);
    case 4: return ChangeSettings(one);
    case 5:
    case 6: return ChangeFilter(one);
    case 7:
    case 8: return Recreate(one);
    case 9: return StartReplay(one);
    case 10: return RedriveSome();
    default: break;
  }
  if (one.pull) return consumers_.Toggle(one.uid);
  dice.Chance(0.3) ? PurgeSome() : RedriveSome();
}

void Scenario::Steer(Subscription subscription, SubscriptionState state) {
  world_.Note("steer {} to {}", subscription.uid, static_cast<int>(state));
  subscription.state = state;
  if (state == SubscriptionState::kDraining) subscription.drain_to = broker_->log().head();
  if (state == SubscriptionState::kActive) subscription.drain_to = kNoSequence;
  broker_->catalog().UpdateInPlace(std::move(subscription));
}

void Scenario::ChangeSettings(Subscription subscription) {
  world_.Note("change settings of {}", subscription.uid);
  Dice& dice = world_.dice;
  if (!mood_.storm) subscription.in_flight_max = dice.Between(1, 16);
  subscription.retry.attempts_max = dice.Between(2, 6);
  subscription.timeout = dice.Delay(150'000, 1'500'000);
  broker_->catalog().UpdateInPlace(std::move(subscription));
}

void Scenario::ChangeFilter(Subscription subscription) {
  world_.Note("change filter of {}", subscription.uid);
  if (replayed_.contains(subscription.uid)) return;
  ++subscription.match_revision;
  if (subscription.filters.empty()) {
    subscription.filters.push_back({Filter::Kind::kExact, {{"color", "red"}}, {}});
  } else {
    std::string& color = subscription.filters.front().attributes.front().second;
    color = color == "red" ? "blue" : "red";
  }
  broker_->catalog().Save(std::move(subscription));
}

// Deleted, and made again at once from where it was.
void Scenario::Recreate(const Subscription& subscription) {
  world_.Note("recreate {}", subscription.uid);
  broker_->catalog().Delete(subscription.uid);
  const auto progress = broker_->shell().engine().Progress(subscription.uid);
  Subscription again = subscription;
  again.uid = fmt::format("u{}", next_uid_++);
  again.match_revision = 1;
  again.state = SubscriptionState::kActive;
  again.drain_to = kNoSequence;
  again.start = {};
  if (world_.dice.Chance(0.8)) {
    again.start.kind = StartPosition::Kind::kSequence;
    again.start.resolved =
        std::max(broker_->log().horizon(), progress ? progress->floor + 1 : Sequence{1});
    again.start.sequence = again.start.resolved;
  }
  executors_.Recreated(subscription.uid, again.uid);
  broker_->catalog().Save(std::move(again));
}

void Scenario::StartReplay(const Subscription& subscription) {
  const Sequence head = broker_->log().head();
  if (head < 2 || subscription.pull) return;
  StoredReplay replay;
  replay.uid = subscription.uid;
  replay.replay = fmt::format("r{}", next_replay_++);
  const Sequence horizon = broker_->log().horizon();
  replay.from =
      horizon + static_cast<Sequence>(world_.dice.Below(static_cast<int>(head - horizon + 1)));
  replay.to = replay.from +
              static_cast<Sequence>(world_.dice.Below(static_cast<int>(head - replay.from + 1)));
  if (world_.dice.Chance(0.3)) replay.rate_per_second = 20;
  replay.create_time = world_.clock.Wall();
  world_.Note("replay {} from {} to {}", replay.Lane(), replay.from, replay.to);
  replayed_.insert(subscription.uid);
  oracle_.OnReplay(replay);
  BrokerRun* broker = broker_.get();
  // Until delivery has pins of its own.
  const std::shared_ptr<LogPin> pin = broker->log().Pin(replay.from, {});
  broker->store().SaveReplay(replay, [this, broker, replay, pin](const absl::Status&) {
    broker->Command([replay, pin](DeliveryShell& shell) { shell.StartReplay(replay); });
    if (!world_.dice.Chance(0.3)) return;
    broker->store().SetReplayState(replay.uid, replay.replay, ReplayState::kPaused,
                                   world_.clock.Wall(), [broker, replay](const auto& paused) {
                                     if (!paused.ok()) return;
                                     broker->Command([replay](DeliveryShell& shell) {
                                       shell.SetReplayPaused(replay.Lane(), true);
                                     });
                                   });
  });
}

void Scenario::RedriveSome() {
  BrokerRun* broker = broker_.get();
  broker->store().ListDeadLetters({}, [this, broker](absl::StatusOr<DeadLetterPage> page) {
    std::vector<StoredDeadLetter> chosen;
    for (StoredDeadLetter& letter : page->letters) {
      if (world_.dice.Chance(0.5)) chosen.push_back(std::move(letter));
    }
    if (chosen.empty()) return;
    world_.Note("redrive {}", chosen.size());
    for (const StoredDeadLetter& letter : chosen) oracle_.OnRedrive(letter.delivery.key);
    const int rate = world_.dice.Chance(0.3) ? 10 : 0;
    broker->Command([this, chosen, rate](DeliveryShell& shell) {
      shell.Redrive(chosen, rate, [this](const absl::StatusOr<std::int64_t>& count) {
        world_.Note("redriven {}", count.ok() ? *count : -1);
      });
    });
  });
}

void Scenario::PurgeSome() { PurgeAll(); }

// Hours, in either direction. What publishers sent before is not tried again: the window of
// deduplication may have passed.
void Scenario::JumpClock() {
  const Microseconds by = world_.dice.Delay(-5ll * 3'600'000'000, 5ll * 3'600'000'000);
  world_.Note("the clock jumps by {} s", by.count() / 1'000'000);
  world_.clock.JumpWall(by);
}

// A function answers nothing but errors for a while.
void Scenario::StartOutage() {
  const std::string space = world_.dice.Chance(0.5) ? "one" : "two";
  const std::string name = world_.dice.Pick(functions_);
  const std::string function = "spaces/" + space + "/functions/" + name;
  world_.Note("outage of {}", function);
  Behaviour down;
  down.system_errors = 1;
  down.replies = name == "echo";
  executors_.set_behaviour(function, down);
  world_.After(world_.dice.Delay(500'000, 6'000'000), [this, function, name] {
    if (calm_) return;
    Behaviour up = DrawBehaviour();
    up.replies = name == "echo";
    executors_.set_behaviour(function, up);
  });
}

void Scenario::ApplyRetention() {
  if (broker_ == nullptr) return;
  const auto applied = broker_->log().inner().ApplyRetention();
  if (!disk_.powered()) return CrashNow();
  if (applied.ok() && applied->segments_removed > 0) {
    world_.Note("retention removed {} segments", applied->segments_removed);
  }
}

}  // namespace penstock::broker::sim
