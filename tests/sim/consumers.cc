#include "tests/sim/consumers.h"

#include <memory>
#include <utility>

namespace penstock::broker::sim {
namespace {

constexpr std::size_t kCredit = 4;

}  // namespace

class Consumers::Target final : public PullTarget {
 public:
  Target(Consumers& consumers, std::int64_t epoch) : consumers_(consumers), epoch_(epoch) {}
  void Start(Listener listener) override {
    consumers_.listener_ = std::move(listener);
    for (auto& [uid, consumer] : consumers_.consumers_) consumers_.Grant(uid);
  }
  void Send(std::vector<PullOrder> orders) override {
    if (consumers_.epoch_ != epoch_) return;
    for (const PullOrder& order : orders) consumers_.Send(order);
  }
  void Cancel(const DeliveryKey& key, int attempt) override {
    if (consumers_.epoch_ == epoch_) consumers_.Cancel(key, attempt);
  }

 private:
  Consumers& consumers_;
  const std::int64_t epoch_;
};

std::unique_ptr<PullTarget> Consumers::Connect(std::int64_t epoch) {
  epoch_ = epoch;
  return std::make_unique<Target>(*this, epoch);
}

void Consumers::BrokerDied() {
  listener_.reset();
  for (auto& [uid, consumer] : consumers_) consumer.open.clear();
}

void Consumers::Grant(const std::string& uid) {
  if (!listener_) return;
  const Consumer& consumer = consumers_[uid];
  const std::size_t open = consumer.open.size();
  listener_->on_credit(uid, consumer.connected && open < kCredit ? kCredit - open : 0);
}

void Consumers::Send(const PullOrder& order) {
  oracle_.OnPullSend(order);
  const std::string uid(SubscriptionOfLane(order.key.uid));
  Consumer& consumer = consumers_[uid];
  const std::uint64_t number = ++orders_;
  const std::pair id(order.key, order.attempt);
  consumer.open[id] = number;
  const bool taken = consumer.connected && consumer.open.size() <= kCredit;
  DeliveryOutcome outcome = DeliveryOutcome::kSucceeded;
  Microseconds delay = world_.dice.Delay(500, 30'000);
  if (!taken) {
    outcome = DeliveryOutcome::kRejected;
    delay = Microseconds(500);
  } else if (!calm_ && world_.dice.Chance(0.15)) {
    outcome = DeliveryOutcome::kRetryable;
  } else if (!calm_ && world_.dice.Chance(0.1)) {
    outcome = DeliveryOutcome::kUnknown;  // Never acknowledged.
    delay = order.ack_timeout;
  }
  world_.After(delay, [this, uid, id, number, outcome] {
    Consumer& now = consumers_[uid];
    const auto open = now.open.find(id);
    if (open == now.open.end() || open->second != number) return;
    if (outcome == DeliveryOutcome::kSucceeded) oracle_.OnAcked(id.first);
    Answer(id.first, id.second, outcome);
  });
}

void Consumers::Answer(const DeliveryKey& key, int attempt, DeliveryOutcome outcome) {
  const std::string uid(SubscriptionOfLane(key.uid));
  consumers_[uid].open.erase({key, attempt});
  if (!listener_) return;
  DeliveryResult result;
  result.key = key;
  result.attempt = attempt;
  result.outcome = outcome;
  result.error = {"FunctionError", "Nack", "as the simulation wants it"};
  oracle_.OnResults({result}, false);
  listener_->on_results({result});
  Grant(uid);
}

void Consumers::Cancel(const DeliveryKey& key, int attempt) {
  const std::string uid(SubscriptionOfLane(key.uid));
  if (consumers_[uid].open.contains({key, attempt})) {
    Answer(key, attempt, DeliveryOutcome::kUnknown);
  }
}

void Consumers::Toggle(const std::string& uid) {
  Consumer& consumer = consumers_[uid];
  consumer.connected = !consumer.connected;
  world_.Note("consumer of {} {}", uid, consumer.connected ? "comes" : "leaves");
  if (!consumer.connected) {
    const auto open = consumer.open;
    for (const auto& [id, number] : open) Answer(id.first, id.second, DeliveryOutcome::kUnknown);
  }
  Grant(uid);
}

void Consumers::Calm(const std::vector<std::string>& uids) {
  calm_ = true;
  for (const std::string& uid : uids) {
    consumers_[uid].connected = true;
    Grant(uid);
  }
}

}  // namespace penstock::broker::sim
