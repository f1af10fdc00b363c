#include "services/event-broker/app/subscription_metrics.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock::broker {
namespace {

using metrics::Family;
using metrics::Gauge;
using Labels = std::vector<std::string>;

constexpr std::chrono::seconds kInterval{10};
constexpr char kOther[] = "other";

// What one series shows.
struct SubscriptionSample {
  double lag = 0;
  double oldest_pending_seconds = 0;
  double in_flight = 0;
  double waiting = 0;
  double retrying = 0;
  double held = 0;
  double dead_letters = 0;
  double delivered_per_second = 0;
  double failed_per_second = 0;
  double blocked = 0;

  // Numbers of things add up, of distances the worst counts.
  void Merge(const SubscriptionSample& more) {
    lag = std::max(lag, more.lag);
    oldest_pending_seconds = std::max(oldest_pending_seconds, more.oldest_pending_seconds);
    in_flight += more.in_flight;
    waiting += more.waiting;
    retrying += more.retrying;
    held += more.held;
    dead_letters += more.dead_letters;
    delivered_per_second += more.delivered_per_second;
    failed_per_second += more.failed_per_second;
    blocked = std::max(blocked, more.blocked);
  }
};

struct TargetSample {
  double breaker = 0;
  double window = 0;
  void Merge(const TargetSample& more) {
    breaker = std::max(breaker, more.breaker);
    window = window == 0 ? more.window : std::min(window, more.window);
  }
};

double Ordinal(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed: return 0;
    case BreakerState::kHalfOpen: return 1;
    case BreakerState::kOpen: return 2;
  }
  return 0;
}

// Which label values have series of their own. Those that have keep them.
class Admission {
 public:
  explicit Admission(std::size_t max) : max_(max) {}

  // Lets go what is not in `present`, and gives it; then admits as many as fit.
  std::vector<Labels> Update(const std::set<Labels>& present) {
    std::vector<Labels> gone;
    for (auto at = admitted_.begin(); at != admitted_.end();) {
      if (present.contains(*at)) {
        ++at;
      } else {
        gone.push_back(*at);
        at = admitted_.erase(at);
      }
    }
    for (const Labels& labels : present) {
      if (admitted_.size() >= max_) break;
      admitted_.insert(labels);
    }
    return gone;
  }
  bool contains(const Labels& labels) const { return admitted_.contains(labels); }

 private:
  const std::size_t max_;
  std::set<Labels> admitted_;
};

// Sets one family per member of `Sample` for each series, and takes series away.
template <typename Sample>
class Series {
 public:
  Series(std::size_t max, Labels other) : admission_(max), other_(std::move(other)) {}
  void Add(Family<Gauge>& family, double Sample::*value) { families_.emplace_back(&family, value); }

  void Publish(const std::map<Labels, Sample>& samples) {
    std::set<Labels> present;
    for (const auto& [labels, sample] : samples) present.insert(labels);
    for (const Labels& labels : admission_.Update(present)) Remove(labels);
    std::optional<Sample> rest;
    for (const auto& [labels, sample] : samples) {
      if (admission_.contains(labels)) {
        Set(labels, sample);
      } else if (rest) {
        rest->Merge(sample);
      } else {
        rest = sample;
      }
    }
    if (rest) Set(other_, *rest);
    if (!rest && had_rest_) Remove(other_);
    had_rest_ = rest.has_value();
  }

 private:
  void Set(const Labels& labels, const Sample& sample) {
    for (const auto& [family, value] : families_) family->With(labels).Set(sample.*value);
  }
  void Remove(const Labels& labels) {
    for (const auto& [family, value] : families_) family->Remove(labels);
  }

  Admission admission_;
  const Labels other_;
  bool had_rest_ = false;
  std::vector<std::pair<Family<Gauge>*, double Sample::*>> families_;
};

}  // namespace

// Shared with rounds that are under way.
struct SubscriptionMetrics::Gauges {
  Gauges(metrics::Registry& registry, std::size_t series_max)
      : subscriptions(series_max, {kOther, kOther}), targets(series_max, {kOther}) {
    const auto subscription = [&](const char* name, const char* help,
                                  double SubscriptionSample::*value) {
      subscriptions.Add(registry.GaugeFamily(std::string("penstock_broker_subscription_") + name,
                                             help, {"space", "subscription"}, series_max + 1),
                        value);
    };
    using S = SubscriptionSample;
    subscription("lag_sequences", "Sequences between what is done and the newest.", &S::lag);
    subscription("oldest_pending_seconds", "Age of the oldest event that is not done.",
                 &S::oldest_pending_seconds);
    subscription("in_flight_deliveries", "Deliveries at the function.", &S::in_flight);
    subscription("waiting_events", "Events in memory that wait for their first attempt.",
                 &S::waiting);
    subscription("retrying_deliveries", "Deliveries that wait for another attempt.", &S::retrying);
    subscription("held_events", "Events that wait behind a key that fails.", &S::held);
    subscription("dead_letters", "Dead letters kept.", &S::dead_letters);
    subscription("delivered_per_second", "Deliveries that succeeded, over the last minute.",
                 &S::delivered_per_second);
    subscription("failed_per_second", "Attempts that failed, over the last minute.",
                 &S::failed_per_second);
    subscription("blocked", "1 while events wait and nothing is sent although it is active.",
                 &S::blocked);
    targets.Add(registry.GaugeFamily("penstock_broker_target_breaker_state",
                                     "Breaker of a function: 0 closed, 1 half open, 2 open.",
                                     {"function"}, series_max + 1),
                &TargetSample::breaker);
    targets.Add(registry.GaugeFamily("penstock_broker_target_window_calls",
                                     "Calls that a function gets at the same time.", {"function"},
                                     series_max + 1),
                &TargetSample::window);
  }

  std::mutex mutex;  // Guards all below.
  bool closed = false;
  Series<SubscriptionSample> subscriptions;
  Series<TargetSample> targets;
};

// One round. Only one callback of it runs at a time.
struct SubscriptionMetrics::Round {
  Ports ports;
  std::shared_ptr<Gauges> gauges;
  std::shared_ptr<std::atomic<bool>> sampling;
  std::vector<Subscription> subscriptions;
  std::size_t next = 0;
  std::map<Labels, SubscriptionSample> samples;
  std::map<Labels, TargetSample> targets;

  Round(Ports ports, std::shared_ptr<Gauges> gauges, std::shared_ptr<std::atomic<bool>> sampling)
      : ports(ports), gauges(std::move(gauges)), sampling(std::move(sampling)) {}
  ~Round() { sampling->store(false); }

  void Take(const Subscription& subscription, const SubscriptionProgress& progress) {
    SubscriptionSample& sample = samples[{subscription.space, subscription.id}];
    const Sequence head = ports.log.head();
    sample.lag = head > progress.floor ? static_cast<double>(head - progress.floor) : 0;
    if (progress.oldest_pending) {
      const Microseconds age = ports.clock.Wall() - *progress.oldest_pending;
      sample.oldest_pending_seconds = std::max(0.0, std::chrono::duration<double>(age).count());
    }
    sample.in_flight = static_cast<double>(progress.in_flight);
    sample.waiting = static_cast<double>(progress.waiting);
    sample.retrying = static_cast<double>(progress.retrying);
    sample.held = static_cast<double>(progress.held);
    sample.delivered_per_second = progress.delivered_per_second;
    sample.failed_per_second = progress.failed_per_second;
    // Without anything to send nothing is wrong, whatever would be in the way.
    const bool has_work =
        progress.in_flight + progress.waiting + progress.retrying + progress.held > 0 ||
        progress.catching_up;
    sample.blocked = has_work && progress.block != LaneBlock::kNone ? 1 : 0;
    // Of a group the progress says only how the worst one stands.
    const auto functions = subscription.Targets();
    if (functions.size() != 1) return;
    targets[{subscription.FunctionName(functions.front())}].Merge(
        {Ordinal(progress.breaker), static_cast<double>(progress.window)});
  }

  void Publish() {
    const std::lock_guard lock(gauges->mutex);
    if (gauges->closed) return;
    gauges->subscriptions.Publish(samples);
    gauges->targets.Publish(targets);
  }
};

SubscriptionMetrics::SubscriptionMetrics(metrics::Registry& registry, Ports ports,
                                         std::size_t series_max)
    : ports_(ports),
      gauges_(std::make_shared<Gauges>(registry, series_max)),
      sampling_(std::make_shared<std::atomic<bool>>(false)) {}

SubscriptionMetrics::~SubscriptionMetrics() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(gauges_->mutex);
  gauges_->closed = true;
  gauges_->subscriptions.Publish({});
  gauges_->targets.Publish({});
}

void SubscriptionMetrics::Start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kInterval, [this] { return stopping_; })) {
      lock.unlock();
      Sample();
      lock.lock();
    }
  });
}

void SubscriptionMetrics::Sample() {
  if (sampling_->exchange(true)) return;
  auto round = std::make_shared<Round>(ports_, gauges_, sampling_);
  for (Subscription& subscription : ports_.catalog.All()) {
    if (!subscription.http) round->subscriptions.push_back(std::move(subscription));
  }
  AskNext(std::move(round));
}

// One question at a time, so that a round with many subscriptions is no burst.
void SubscriptionMetrics::AskNext(std::shared_ptr<Round> round) {
  if (round->next == round->subscriptions.size()) return round->Publish();
  const Subscription& subscription = round->subscriptions[round->next++];
  round->ports.delivery.GetProgress(
      subscription.uid,
      [round, &subscription](const std::optional<SubscriptionProgress>& progress) {
        if (!progress) return AskNext(round);  // Delivery does not know it yet.
        round->Take(subscription, *progress);
        round->ports.dead_letters.CountDeadLetters(
            subscription.uid, [round, &subscription](const absl::StatusOr<std::int64_t>& count) {
              if (count.ok()) {
                round->samples[{subscription.space, subscription.id}].dead_letters =
                    static_cast<double>(*count);
              }
              AskNext(round);
            });
      });
}

}  // namespace penstock::broker
