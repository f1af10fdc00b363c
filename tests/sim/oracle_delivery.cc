// What is sent when: promises 3, 5 and 6, and the policy of attempts.
#include <algorithm>

#include "tests/sim/oracle.h"

namespace penstock::broker::sim {
namespace {

using namespace std::chrono_literals;

// Of the last sends while fresh events waited; see CheckRetryShare.
constexpr std::size_t kContendedSends = 64;
// Between a result and the step that takes it, with the reads of events between.
constexpr Microseconds kSlack = 20ms;

// The least that a policy waits before any attempt.
Microseconds DelayMin(const RetryPolicy& policy) {
  Microseconds least = std::min(policy.delay_initial, policy.delay_max);
  if (policy.backoff == Backoff::kSchedule && !policy.schedule.empty()) {
    least = *std::min_element(policy.schedule.begin(), policy.schedule.end());
  }
  // A key that blocks is tried again at the longest delay.
  least = std::min(least, policy.delay_max);
  return Microseconds(
      static_cast<std::int64_t>(static_cast<double>(least.count()) * (1 - policy.jitter)));
}

// The failures that a breaker counts.
bool Counts(const DeliveryResult& result) {
  if (result.outcome == DeliveryOutcome::kUnknown) return true;
  return result.outcome == DeliveryOutcome::kRetryable &&
         (result.error.category == "SystemError" || result.timed_out || result.http_status >= 500 ||
          result.http_status == 429);
}

bool IsSink(const Subscription& subscription, const std::string& function) {
  return !subscription.dead_letter_sink.function.empty() &&
         function == subscription.FunctionName(subscription.dead_letter_sink.function);
}

}  // namespace

void Oracle::OnBrokerStart(std::int64_t epoch) {
  epoch_ = epoch;
  alive_ = true;
}

void Oracle::OnBrokerDied() {
  alive_ = false;
  in_doubt_.clear();
  sent_.clear();
  space_in_flight_.clear();
  space_of_.clear();
  breakers_.clear();
  starts_.clear();
  contended_.clear();
  capacity_ = 0;
  for (auto& [key, delivery] : deliveries_) delivery.series.clear();
}

void Oracle::OnCommit(const StateTransaction& transaction) {
  ++commits_;
  for (const DeadDelivery& dead : transaction.dead) {
    world_.Note("dead {} {} {}", dead.key.Id(), static_cast<int>(dead.reason), dead.attempts);
    if (dead.reason == DeadReason::kPermanent && !at(dead.key).refused) {
      world_.Violation("P4: {} is a dead letter that nobody refused", dead.key.Id());
    }
    if (dead.reason == DeadReason::kRetention) {
      skipped_[dead.key.uid].push_back({dead.key.sequence, dead.last_sequence});
    } else {
      at(dead.key).dead = true;
    }
  }
  for (const auto& [lane, row] : transaction.rows) {
    if (row.kind == RowKind::kSink) at({lane, row.position.sequence}).given_up = true;
  }
  std::erase_if(in_doubt_, [this](const InDoubt& doubt) {
    const std::string uid(SubscriptionOfLane(doubt.earlier.uid));
    return deleted_.contains(uid) || HasEnded(doubt.earlier);
  });
  for (const InDoubt& doubt : in_doubt_) {
    if (commits_ < doubt.commits + 2) continue;
    return world_.Violation("P3: {} was sent before {} had an end", doubt.sent, doubt.earlier.Id());
  }
}

// The key by which the lane's event is in order; empty when it is in none, or was redriven.
std::string Oracle::KeyOf(const DeliveryKey& key) const {
  const Subscription* subscription = FindLive(key.uid);
  const Record* record = FindRecord(key.sequence);
  const Delivery* delivery = find(key);
  if (subscription == nullptr || record == nullptr || !subscription->ordering) return "";
  return delivery != nullptr && delivery->redriven ? "" : record->key;
}

void Oracle::OnCapacity(std::size_t slots) {
  capacity_ = slots;
  capacity_changed_ = world_.clock.Monotonic();
}

void Oracle::OnSend(const InvocationOrder& order) {
  world_.Note("send {} #{} to {}{}", order.key.Id(), order.attempt, order.function,
              order.batch.empty() ? "" : fmt::format(" and {} more", order.batch.size()));
  const Subscription* subscription = FindLive(order.key.uid);
  if (subscription == nullptr) {
    return world_.Violation("P4: {} was sent for no subscription", order.key.Id());
  }
  // Attempts are counted over the members of a group: a later one need not be a retry.
  ++step_sends_;
  const bool plain =
      !subscription->group && !subscription->ordering && !IsSink(*subscription, order.function);
  if (plain && order.attempt > 1) ++step_retries_;
  CheckAttempt(order.key, order.function, *subscription);
  for (const auto& [key, event] : order.batch) CheckAttempt(key, order.function, *subscription);
  if (subscription->rate_limit && order.key.uid == subscription->uid &&
      !IsSink(*subscription, order.function)) {
    CheckRate(*subscription);
  }
  CheckShare(order);
  CheckBreaker(order);
  sent_[{order.key, order.attempt}] = order.function;
  for (const auto& [key, event] : order.batch) sent_[{key, order.attempt}] = order.function;
}

void Oracle::OnPullSend(const PullOrder& order) {
  world_.Note("give {} #{}", order.key.Id(), order.attempt);
  const Subscription* subscription = FindLive(order.key.uid);
  if (subscription != nullptr) CheckAttempt(order.key, "pull", *subscription);
  sent_[{order.key, order.attempt}] = "pull";
  at(order.key).called = true;
}

// Not more attempts than the policy has, and none too early.
void Oracle::CheckAttempt(const DeliveryKey& key, const std::string& function,
                          const Subscription& subscription) {
  const auto found = at(key).series.find(function);
  if (found == at(key).series.end() || IsSink(subscription, function)) return;
  const Delivery::Series& series = found->second;
  const bool blocks =
      subscription.ordering && subscription.ordering->on_exhausted == OnExhausted::kBlock;
  // Settings change; the largest policy of a run is 6.
  if (!blocks && series.consumed >= std::max(6, subscription.retry.attempts_max)) {
    world_.Violation("P4: {} was sent to {} after {} attempts", key.Id(), function,
                     series.consumed);
  }
  if (series.next && world_.clock.Monotonic() < *series.next) {
    world_.Violation("P4: {} was sent to {} {} us before its time", key.Id(), function,
                     (*series.next - world_.clock.Monotonic()).count());
  }
}

void Oracle::CheckRate(const Subscription& subscription) {
  std::deque<MonotonicTime>& starts = starts_[subscription.uid];
  const MonotonicTime now = world_.clock.Monotonic();
  starts.push_back(now);
  while (starts.front() <= now - 1s) starts.pop_front();
  const RateLimit& rate = *subscription.rate_limit;
  // What was started and read from the disk may leave together.
  const std::size_t most = static_cast<std::size_t>(rate.per_second + rate.burst) + 2 + loading_;
  if (starts.size() > most) {
    world_.Violation("P6: {} started {} deliveries in a second", subscription.uid, starts.size());
  }
}

// Calls that hang never hold all of the capacity.
void Oracle::CheckShare(const InvocationOrder& order) {
  // Its subscription is deleted, which the engine learns any moment and then gives the call up.
  if (deleted_.contains(std::string(SubscriptionOfLane(order.key.uid)))) return;
  const std::string& space = FindLive(order.key.uid)->space;
  const int in_flight = ++space_in_flight_[space];
  space_of_[{order.key, order.attempt}] = space;
  // What was decided with another capacity a moment ago may still be on its way.
  if (capacity_ < 8 || loading_ > 0 || world_.clock.Monotonic() - capacity_changed_ < 50ms) return;
  const int most = static_cast<int>(static_cast<double>(capacity_) * engine_.space_share_max) + 1;
  if (in_flight > most) {
    world_.Violation("P6: space {} has {} of {} slots", space, in_flight, capacity_);
  }
}

// While a target fails, only probes reach it.
void Oracle::CheckBreaker(const InvocationOrder& order) {
  const auto found = breakers_.find(order.function);
  if (found == breakers_.end() || !found->second.opened) return;
  Breaker& breaker = found->second;
  const Microseconds open = world_.clock.Monotonic() - *breaker.opened;
  if (open < kSlack) return;
  ++breaker.sends;
  const BreakerOptions& options = engine_.breaker;
  const std::int64_t most =
      options.probes * (2 + open / options.open_first) + static_cast<std::int64_t>(breaker.loading);
  if (breaker.sends > most) {
    world_.Violation("P6: {} calls went to {} in the {} us after its breaker opened", breaker.sends,
                     order.function, open.count());
  }
}

void Oracle::TakeBreakerResult(const DeliveryResult& result) {
  const auto sent = sent_.find({result.key, result.attempt});
  if (sent == sent_.end()) return;
  const Subscription* subscription = FindLive(result.key.uid);
  Breaker& breaker = breakers_[sent->second];
  if (result.outcome == DeliveryOutcome::kRejected) {
    if (breaker.opened) --breaker.sends;  // It never began.
    return;
  }
  const bool counts = Counts(result);
  const bool gone = deleted_.contains(std::string(SubscriptionOfLane(result.key.uid)));
  if (counts && (gone || subscription == nullptr || subscription->batching.events_max > 1)) return;
  if (!counts) {
    breaker = Breaker{};
    return;
  }
  if (++breaker.streak != engine_.breaker.failures_min || breaker.opened) return;
  world_.Note("{} has failed {} times in a row", sent->second, breaker.streak);
  breaker.opened = world_.clock.Monotonic();
  breaker.loading = loading_;
}

// What it had under way is given up: slots and probes are free again.
void Oracle::GiveUp(const std::string& uid) {
  for (auto call = space_of_.begin(); call != space_of_.end();) {
    const bool its = SubscriptionOfLane(call->first.first.uid) == uid;
    if (its) --space_in_flight_[call->second];
    call = its ? space_of_.erase(call) : std::next(call);
  }
  breakers_.clear();
}

void Oracle::OnCallStart(std::uint64_t call, const InvocationOrder& order) {
  ++calls_started_;
  at(order.key).called = true;
  for (const auto& [key, event] : order.batch) at(key).called = true;
  const Subscription* subscription = FindLive(order.key.uid);
  if (subscription != nullptr && !IsSink(*subscription, order.function)) CheckOrder(call, order);
}

// One in flight for a key, the earlier ones of it done, and none for a broker that is no more.
void Oracle::CheckOrder(std::uint64_t call, const InvocationOrder& order) {
  const std::string key = KeyOf(order.key);
  if (key.empty()) return;
  auto& running = running_[{order.key.uid, key}];
  if (!running.empty()) {
    world_.Violation("P3: {} started while another call of its key was running", order.key.Id());
  }
  running.insert(call);
  std::int64_t& epoch = epochs_[{order.key.uid, key}];
  if (order.epoch < epoch) {
    world_.Violation("P3: {} was called for a broker that is no more", order.key.Id());
  }
  epoch = std::max(epoch, order.epoch);
  const Subscription* subscription = FindLive(order.key.uid);
  const bool replay = !ReplayOfLane(order.key.uid).empty();
  Sequence from = 1;
  if (const auto found = replays_.find(order.key.uid); found != replays_.end()) {
    from = found->second.from;
  } else if (replay) {
    return;
  }
  for (auto entry = records_.lower_bound(from);
       entry != records_.end() && entry->first < order.key.sequence; ++entry) {
    if (entry->second.key != key) continue;
    const Subscription* revision = replay ? subscription : InForce(order.key.uid, entry->first);
    if (revision == nullptr || !Matches(*revision, entry->second)) continue;
    const DeliveryKey earlier{order.key.uid, entry->first};
    if (IsAmbiguous(std::string(SubscriptionOfLane(order.key.uid)), entry->first)) continue;
    // What a broker sent that is no more was decided on what it knew.
    if (order.epoch != epoch_ || !alive_) continue;
    if (!HasEnded(earlier)) in_doubt_.push_back({earlier, order.key.sequence, commits_});
  }
}

void Oracle::OnCallEnd(std::uint64_t call, const InvocationOrder& order,
                       const std::vector<DeliveryResult>& results) {
  for (auto at = running_.begin(); at != running_.end();) {
    at->second.erase(call);
    at = at->second.empty() ? running_.erase(at) : std::next(at);
  }
  for (const DeliveryResult& result : results) {
    if (result.outcome != DeliveryOutcome::kSucceeded) continue;
    TakeSuccess(result.key, order.function, !result.reply.empty());
  }
}

void Oracle::TakeSuccess(const DeliveryKey& key, const std::string& function, bool replied) {
  Delivery& delivery = at(key);
  const Subscription* subscription = FindLive(key.uid);
  if (subscription != nullptr && IsSink(*subscription, function)) {
    delivery.sunk = true;
    return;
  }
  delivery.succeeded.insert(function);
  delivery.replied = delivery.replied || replied;
}

void Oracle::OnAcked(const DeliveryKey& key) { TakeSuccess(key, "pull", false); }

void Oracle::OnResults(const std::vector<DeliveryResult>& results, bool again) {
  for (const DeliveryResult& result : results) {
    world_.Note("result {} #{} {} {} {}{}", result.key.Id(), result.attempt,
                static_cast<int>(result.outcome), result.error.type, result.http_status,
                again ? " again" : "");
    if (result.outcome == DeliveryOutcome::kPermanent) at(result.key).refused = true;
    if (again) continue;
    TakeBreakerResult(result);
    const std::pair attempt(result.key, result.attempt);
    if (const auto space = space_of_.find(attempt); space != space_of_.end()) {
      --space_in_flight_[space->second];
      space_of_.erase(space);
    }
    const auto sent = sent_.find(attempt);
    if (sent == sent_.end()) continue;
    Delivery::Series& series = at(result.key).series[sent->second];
    sent_.erase(sent);
    const Subscription* subscription = FindLive(result.key.uid);
    series.next.reset();
    if (result.outcome != DeliveryOutcome::kRetryable || subscription == nullptr) continue;
    ++series.consumed;
    const Microseconds delay =
        std::max(DelayMin(subscription->retry), result.retry_after.value_or(Microseconds(0)));
    series.next = world_.clock.Monotonic() + delay;
  }
}

void Oracle::OnStep(const DeliveryEngine& engine, std::size_t loading) {
  loading_ = loading;
  CheckRetryShare(engine);
  for (const auto& [uid, subscription] : live_) {
    if (!deleted_.contains(uid)) CheckBounds(engine, uid);
  }
}

void Oracle::CheckBounds(const DeliveryEngine& engine, const std::string& uid) {
  const auto progress = engine.Progress(uid);
  if (!progress) return;
  const Subscription& subscription = live_.at(uid);
  const auto held_max =
      static_cast<std::size_t>(subscription.ordering ? subscription.ordering->held_max : 0);
  // What is in flight may come back to wait for the next member of its group.
  // Retries of a group too.
  const std::size_t most = engine_.window + held_max +
                           static_cast<std::size_t>(subscription.in_flight_max) +
                           (subscription.group ? engine_.rows_max : 0);
  if (progress->waiting > most || progress->held > most) {
    world_.Violation("P5: {} keeps {} events waiting and {} held", uid, progress->waiting,
                     progress->held);
  }
  // Redriven dead letters come on top: people ask for them.
  const auto redriven = redriven_.find(uid);
  const std::size_t more = redriven == redriven_.end() ? 0 : redriven->second;
  if (progress->retrying > engine_.rows_max + held_max + 2 * engine_.window + more) {
    world_.Violation("P5: {} keeps {} retries", uid, progress->retrying);
  }
}

// Whether the subscription has a fresh event that nothing but the want of a slot holds back.
bool Oracle::CouldSend(const DeliveryEngine& engine, const Subscription& subscription) const {
  if (subscription.ordering || subscription.rate_limit || subscription.pull ||
      subscription.batching.events_max > 1 || deleted_.contains(subscription.uid) ||
      subscription.state != SubscriptionState::kActive) {
    return false;
  }
  const auto progress = engine.Progress(subscription.uid);
  // What is in flight for the first time counts as waiting too.
  if (!progress || progress->waiting <= progress->in_flight ||
      progress->block != LaneBlock::kNone || progress->breaker != BreakerState::kClosed) {
    return false;
  }
  const std::string target = subscription.FunctionName(subscription.function);
  const auto calls = std::count_if(sent_.begin(), sent_.end(),
                                   [&](const auto& call) { return call.second == target; });
  const auto space = space_in_flight_.find(subscription.space);
  const int in_flight = space == space_in_flight_.end() ? 0 : space->second;
  return progress->in_flight + 1 < static_cast<std::size_t>(subscription.in_flight_max) &&
         calls + 1 < progress->window &&
         (capacity_ < 8 || in_flight + 1 < static_cast<double>(capacity_) * engine_.space_share);
}

// Retries that are due take at most their share of the slots while fresh events wait.
void Oracle::CheckRetryShare(const DeliveryEngine& engine) {
  const int retries = std::exchange(step_retries_, 0);
  const int sends = std::exchange(step_sends_, 0);
  if (sends == 0 || loading_ > 0) return;
  const bool contended = std::any_of(live_.begin(), live_.end(), [&](const auto& entry) {
    return CouldSend(engine, entry.second);
  });
  if (!contended) return;
  for (int i = 0; i < sends; ++i) contended_.push_back(i < retries);
  while (contended_.size() > kContendedSends) contended_.pop_front();
  if (contended_.size() < kContendedSends) return;
  const auto taken = std::count(contended_.begin(), contended_.end(), true);
  if (static_cast<double>(taken) > kContendedSends * (engine_.retry_share + 0.3)) {
    world_.Violation("P6: {} of {} sends were retries while fresh events waited", taken,
                     kContendedSends);
  }
}

}  // namespace penstock::broker::sim
