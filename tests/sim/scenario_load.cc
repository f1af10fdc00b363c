// What a run works on: subscriptions, functions and events.
#include <algorithm>
#include <memory>

#include "tests/sim/scenario.h"

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

const std::vector<std::string> kSpaces = {"one", "two"};
const std::vector<std::string> kTypes = {"a", "ab", "b"};
const std::vector<std::string> kPatterns = {"a", "ab", "b", "a*", "*"};
const std::vector<std::string> kColors = {"red", "blue"};

}  // namespace

void Scenario::DrawFunctions() {
  functions_ = {"f0", "f1", "f2", "f3", "echo"};
  for (const std::string& space : kSpaces) {
    for (const std::string& function : functions_) {
      Behaviour behaviour = DrawBehaviour();
      behaviour.replies = function == "echo";
      executors_.set_behaviour("spaces/" + space + "/functions/" + function, behaviour);
    }
    executors_.set_behaviour("spaces/" + space + "/functions/sink", Behaviour{});
  }
}

Behaviour Scenario::DrawBehaviour() {
  Dice& dice = world_.dice;
  Behaviour behaviour;
  behaviour.micros_max = dice.Between(1, 10) * 10'000;
  if (dice.Chance(0.6)) behaviour.function_errors = 0.1 * dice.Between(0, 4);
  if (dice.Chance(0.3)) behaviour.system_errors = 0.1 * dice.Between(0, 3);
  if (dice.Chance(0.3)) behaviour.permanent = 0.05 * dice.Between(0, 3);
  if (dice.Chance(0.3)) behaviour.hangs = 0.05 * dice.Between(0, 4);
  if (dice.Chance(0.2)) behaviour.asks_to_wait = 0.1;
  if (mood_.storm) behaviour.function_errors = dice.Chance(0.5) ? 0.9 : 0;
  return behaviour;
}

Subscription Scenario::DrawSubscription() {
  Dice& dice = world_.dice;
  Subscription subscription;
  subscription.uid = fmt::format("u{}", next_uid_++);
  subscription.id = "name-" + subscription.uid;
  subscription.space = dice.Pick(kSpaces);
  subscription.state = SubscriptionState::kActive;
  subscription.event_type = dice.Pick(kPatterns);
  if (dice.Chance(0.4)) {
    subscription.filters.push_back({Filter::Kind::kExact, {{"color", dice.Pick(kColors)}}, {}});
  }
  subscription.function = dice.Pick(functions_);
  // An answer to all answers goes round 16 times: one filter is enough.
  if (subscription.function == "echo" && subscription.event_type == "*") {
    subscription.event_type = dice.Chance(0.3) ? "reply" : "b";
  }
  DrawPolicies(subscription);
  DrawShape(subscription);
  const Sequence head = broker_->log().head();
  if (head > 0 && dice.Chance(0.3)) {
    const Sequence horizon = broker_->log().horizon();
    subscription.start.kind = StartPosition::Kind::kSequence;
    subscription.start.resolved =
        horizon + static_cast<Sequence>(dice.Below(static_cast<int>(head - horizon + 1)));
    subscription.start.sequence = subscription.start.resolved;
  }
  return subscription;
}

void Scenario::DrawPolicies(Subscription& subscription) {
  Dice& dice = world_.dice;
  RetryPolicy& retry = subscription.retry;
  retry.attempts_max = dice.Between(2, 6);
  retry.delay_initial = dice.Delay(5'000, 400'000);
  retry.delay_max = retry.delay_initial * dice.Between(1, 10);
  retry.age_max = std::chrono::hours(24 * 30);
  if (mood_.storm) {
    retry.attempts_max = 6;
    retry.delay_initial = Microseconds(5'000);
    retry.delay_max = Microseconds(50'000);
  }
  if (dice.Chance(0.2)) retry.backoff = Backoff::kLinear;
  if (dice.Chance(0.2)) {
    retry.backoff = Backoff::kSchedule;
    retry.schedule = {Microseconds(20'000), Microseconds(150'000)};
  }
  subscription.timeout = dice.Delay(150'000, 1'500'000);
  subscription.in_flight_max = mood_.storm ? 64 : dice.Between(1, 16);
  if (dice.Chance(0.15)) subscription.rate_limit = RateLimit{dice.Between(20, 60), 5};
  if (dice.Chance(0.1)) subscription.time_to_live = dice.Delay(1'000'000, 20'000'000);
  if (dice.Chance(0.15)) subscription.dead_letter_sink.function = "sink";
  if (dice.Chance(0.1)) subscription.dead_letter_sink = {"", "dead"};
}

// Order, a group, batches, pull, or none of them.
void Scenario::DrawShape(Subscription& subscription) {
  Dice& dice = world_.dice;
  const int shape = mood_.storm ? 9 : dice.Below(10);
  if (shape < 4) {
    OrderingPolicy ordering;
    ordering.on_exhausted = std::vector{OnExhausted::kContinue, OnExhausted::kBlock,
                                        OnExhausted::kDeadLetterKey}[dice.Below(3)];
    ordering.held_max = dice.Between(5, 60);
    subscription.ordering = ordering;
  } else if (shape == 4) {
    SubscriberGroup group;
    group.functions = {"f0", "f1", "f2"};
    if (dice.Chance(0.5)) group.strategy = SubscriberGroup::Strategy::kFirstSuccess;
    subscription.function.clear();
    subscription.group = group;
  } else if (shape == 5) {
    subscription.batching = {dice.Between(2, 8), dice.Delay(0, 200'000)};
  } else if (shape == 6) {
    subscription.function.clear();
    subscription.pull = PullPolicy{1s};
    subscription.dead_letter_sink = {};
  }
}

void Scenario::PublishSome() {
  Dice& dice = world_.dice;
  const int count = dice.Chance(0.1) ? dice.Between(10, 60) : dice.Between(1, 6);
  for (int i = 0; i < count && next_event_ <= mood_.events; ++i) PublishOne();
}

void Scenario::PublishOne() {
  Dice& dice = world_.dice;
  auto plan = std::make_shared<EventPlan>();
  plan->id = fmt::format("e{}", next_event_++);
  plan->space = dice.Pick(kSpaces);
  plan->type = dice.Pick(kTypes);
  plan->color = dice.Pick(kColors);
  if (dice.Chance(0.8)) plan->key = fmt::format("k{}", dice.Below(5));
  plan->poison = plan->key == "k0" && dice.Chance(0.3);
  if (dice.Chance(0.05)) plan->expires = world_.clock.Wall() + dice.Delay(100'000, 5'000'000);
  plan->padding = static_cast<std::size_t>(dice.Chance(0.1) ? dice.Below(3'000) : dice.Below(200));
  Send(plan, 8);
  // Some clients are impatient and send twice.
  if (dice.Chance(0.2)) world_.After(dice.Delay(0, 1'000), [this, plan] { Send(plan, 2); });
}

// Tries again until an answer comes back.
void Scenario::Send(const std::shared_ptr<EventPlan>& plan, int tries_left) {
  if (tries_left == 0) return;
  Dice& dice = world_.dice;
  auto answered = std::make_shared<bool>(false);
  const std::uint64_t era = ids_era_;
  world_.After(dice.Delay(50, 2'000), [this, plan, answered] {
    if (broker_ == nullptr) return;
    const bool lost = world_.dice.Chance(0.1);
    broker_->Publish(MakeEvent(*plan), [this, plan, answered, lost](const AppendResult& result) {
      oracle_.OnReceipt(plan->space, plan->id, result);
      *answered = !lost && result.verdict != AppendVerdict::kFailed;
    });
  });
  world_.After(dice.Delay(300'000, 1'200'000), [this, plan, tries_left, answered, era] {
    if (!*answered && era == ids_era_ && !calm_) Send(plan, tries_left - 1);
  });
}

}  // namespace penstock::broker::sim
