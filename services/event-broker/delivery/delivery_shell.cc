#include "services/event-broker/delivery/delivery_shell.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "libs/log/log.h"

namespace penstock::broker {

DeliveryShell::DeliveryShell(DeliveryPorts ports, Background& background, DeliveryOptions options,
                             DeliveryStats& stats)
    : ports_(std::move(ports)),
      background_(background),
      options_(options),
      stats_(stats),
      catch_up_(ports_.log, background, ports_.clock, options.catch_up, stats,
                [this](ScanAnswer answer) { TakeScan(std::move(answer)); }),
      loader_(std::make_shared<EventLoader>(ports_.log)) {}

DeliveryShell::~DeliveryShell() = default;

void DeliveryShell::Start(DeliveryStart start) {
  Restore(start);
  const auto on_results = [this](std::vector<DeliveryResult> results) {
    background_.Post(
        [this, results = std::move(results)]() mutable { TakeResults(std::move(results)); });
  };
  ports_.invoker.Start({
      .on_results = on_results,
      .on_capacity =
          [this](std::size_t slots) {
            background_.Post([this, slots] {
              stats_.capacity = slots;
              if (!draining_) engine_->SetCapacity(slots, now(), out_);
            });
          },
      .on_settled = [this] { background_.Post([this] { engine_->Settled(now(), out_); }); },
  });
  if (ports_.pull == nullptr) return;
  ports_.pull->Start({
      .on_results = on_results,
      .on_credit =
          [this](const std::string& uid, std::size_t credit) {
            background_.Post([this, uid, credit] { engine_->SetCredit(uid, credit, now(), out_); });
          },
  });
}

void DeliveryShell::Step() {
  ReadHead();
  engine_->Tick(now(), out_);
  Perform();
  catch_up_.Turn(head_waits());
  PublishStats();
}

std::optional<MonotonicTime> DeliveryShell::wake_at() const {
  std::optional<MonotonicTime> wake = out_.wake_at;
  for (const auto& timer :
       {commit_again_at_, read_again_at_, publish_again_at_, catch_up_.wake_at()}) {
    if (timer && (!wake || *timer < *wake)) wake = timer;
  }
  return wake;
}

bool DeliveryShell::Drain(bool late) {
  draining_ = true;
  engine_->SetCapacity(0, now(), out_);
  if (engine_->in_flight() > 0 && !late) return false;
  engine_->Flush(now(), out_);
  return engine_->clean() || late;
}

DeliverySettings DeliveryShell::SettingsOf(const Subscription& subscription) {
  DeliverySettings settings;
  settings.space = subscription.space;
  for (const std::string& function : subscription.Targets()) {
    settings.targets.push_back(subscription.FunctionName(function));
  }
  settings.first_success = subscription.group &&
                           subscription.group->strategy == SubscriberGroup::Strategy::kFirstSuccess;
  settings.pull = subscription.pull.has_value();
  settings.retry = subscription.retry;
  settings.timeout = subscription.timeout;
  settings.in_flight_max = subscription.in_flight_max;
  settings.paused = subscription.state == SubscriptionState::kPaused;
  if (subscription.ordering) {
    settings.ordered = true;
    settings.on_exhausted = subscription.ordering->on_exhausted;
    settings.held_max = subscription.ordering->held_max;
  }
  settings.rate = subscription.rate_limit;
  settings.batch = subscription.batching;
  settings.time_to_live = subscription.time_to_live;
  // Where an invocation goes that failed is in its event.
  settings.has_sink =
      !subscription.dead_letter_sink.kept() || subscription.purpose() == LanePurpose::kCalls;
  // A URL that fails says nothing about the function.
  if (subscription.purpose() == LanePurpose::kCallbacks) settings.targets = {subscription.Name()};
  if (!subscription.dead_letter_sink.function.empty()) {
    settings.sink_function = subscription.FunctionName(subscription.dead_letter_sink.function);
  }
  settings.drain_to = subscription.drain_to;
  return settings;
}

const Subscription* DeliveryShell::FindSubscription(std::string_view uid) const {
  for (const Subscriptions* known : {&subscriptions_, &removed_}) {
    const auto at = known->find(uid);
    if (at != known->end()) return at->second.get();
  }
  return nullptr;
}

std::optional<std::string> DeliveryShell::OrderedBy(const std::string& uid) const {
  const auto at = subscriptions_.find(SubscriptionOfLane(uid));
  if (at == subscriptions_.end() || !at->second->ordering) return std::nullopt;
  return at->second->ordering->by;
}

void DeliveryShell::Change(std::shared_ptr<const Subscription> subscription) {
  if (subscription->http) return;
  subscriptions_[subscription->uid] = subscription;
  engine_->ChangeSettings(subscription->uid, SettingsOf(*subscription), now(), out_);
}

void DeliveryShell::GetProgress(const std::string& uid,
                                std::function<void(std::optional<SubscriptionProgress>)> done) {
  done(engine_->Progress(uid));
}

void DeliveryShell::FindDelivery(const DeliveryKey& key,
                                 std::function<void(std::optional<DeliveryWhereabouts>)> done) {
  const auto found = engine_->Find(key);
  const bool is_over = found && found->place == DeliveryPlace::kDone;
  if (!is_over || (engine_->clean() && !out_.transaction)) return done(found);
  // It may be a dead letter that is not in the store yet: then this is known once it is.
  const std::uint64_t made = transactions_started_ + (out_.transaction ? 1 : 0);
  redrives_.push_back({made + (engine_->dirty() ? 1 : 0), [done, found] { done(found); }});
}

// One of a subscription, or a revision of it, that the matcher has not come to yet waits for that:
// it goes by the newest conditions.
void DeliveryShell::StartReplay(const StoredReplay& replay) {
  PinStart(replay.Lane(), replay.from);
  if (KnowsNewest(replay.uid, engine_->matched_through())) return AddReplay(replay, nullptr);
  replays_waiting_.insert_or_assign(replay.Lane(), replay);
}

bool DeliveryShell::KnowsNewest(const std::string& uid, Sequence through) const {
  const auto subscription = subscriptions_.find(uid);
  return subscription != subscriptions_.end() &&
         subscription->second->effective_sequence <= through && engine_->Progress(uid);
}

// `saved` is what an earlier run left, where there was one.
void DeliveryShell::AddReplay(const StoredReplay& replay, const SavedDeliveryState* saved) {
  DeliveryEngine::Replay order;
  order.uid = replay.uid;
  order.replay = replay.replay;
  order.from = replay.from;
  order.to = replay.to;
  if (replay.rate_per_second > 0) {
    order.rate = RateLimit{replay.rate_per_second, replay.rate_per_second};
  }
  order.paused = replay.state == ReplayState::kPaused;
  if (saved != nullptr) {
    const auto cursor = saved->cursors.find(replay.Lane());
    if (cursor != saved->cursors.end()) order.cursor = &cursor->second;
    const auto rows = saved->rows.find(replay.Lane());
    if (rows != saved->rows.end()) order.rows = rows->second;
  }
  engine_->AddReplay(order, now(), out_);
}

void DeliveryShell::SetReplayPaused(const std::string& lane, bool paused) {
  if (const auto waiting = replays_waiting_.find(lane); waiting != replays_waiting_.end()) {
    waiting->second.state = paused ? ReplayState::kPaused : ReplayState::kRunning;
  }
  engine_->SetReplayPaused(lane, paused, now(), out_);
}

void DeliveryShell::EndReplay(const std::string& lane) {
  if (replays_waiting_.erase(lane) > 0) lane_pins_.erase(lane);
  catch_up_.Forget(lane);
  engine_->Remove(lane, now(), out_);
}

// The matcher has read up to `through`.
void DeliveryShell::StartWaitingReplays(const std::string& uid, Sequence through) {
  if (replays_waiting_.empty() || !KnowsNewest(uid, through)) return;
  for (auto at = replays_waiting_.begin(); at != replays_waiting_.end();) {
    const bool its = at->second.uid == uid;
    if (its) {
      PinStart(at->second.Lane(), at->second.from);
      AddReplay(at->second, nullptr);
    }
    at = its ? replays_waiting_.erase(at) : std::next(at);
  }
}

void DeliveryShell::CountMatches(const std::string& uid, Sequence from, Sequence to,
                                 std::function<void(absl::StatusOr<std::int64_t>)> done) {
  auto history = index_.NewestForAll(uid);
  if (history == nullptr) {
    return done(absl::UnavailableError("delivery does not know the subscription yet; try again"));
  }
  to = std::min(to, ports_.log.head());
  if (from > to) return done(std::int64_t{0});
  catch_up_.Count(from, to, {std::move(history), std::nullopt}, std::move(done));
}

void DeliveryShell::PublishStats() {
  const EngineCounters& counters = engine_->counters();
  stats_.matched_through = engine_->matched_through();
  stats_.in_flight = engine_->in_flight();
  stats_.sent = sent_;
  stats_.succeeded = counters.succeeded;
  stats_.retried = counters.retried;
  stats_.dead = counters.dead;
  stats_.sunk = counters.sunk;
  stats_.rejected = counters.rejected;
  stats_.lost = counters.lost;
  stats_.expired = counters.expired;
  stats_.breakers_opened = counters.breakers_opened;
  stats_.unknown_results = counters.unknown_results;
}

}  // namespace penstock::broker
