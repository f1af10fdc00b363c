// Consumers of pull subscriptions.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/event-broker/ports/pull_target.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

// Each subscription has at most one consumer, which comes and goes.
class Consumers final {
 public:
  Consumers(World& world, Oracle& oracle) : world_(world), oracle_(oracle) {}

  std::unique_ptr<PullTarget> Connect(std::int64_t epoch);
  void BrokerDied();
  // A consumer of the subscription comes, or leaves without a word.
  void Toggle(const std::string& uid);
  // All of them come and work.
  void Calm(const std::vector<std::string>& uids);

 private:
  class Target;
  struct Consumer {
    bool connected = false;
    std::map<std::pair<DeliveryKey, int>, std::uint64_t> open;  // To the number of the order.
  };

  void Send(const PullOrder& order);
  void Cancel(const DeliveryKey& key, int attempt);
  void Answer(const DeliveryKey& key, int attempt, DeliveryOutcome outcome);
  void Grant(const std::string& uid);

  World& world_;
  Oracle& oracle_;
  std::map<std::string, Consumer> consumers_;  // By uid.
  std::optional<PullTarget::Listener> listener_;
  std::int64_t epoch_ = 0;
  std::uint64_t orders_ = 0;
  bool calm_ = false;
};

}  // namespace penstock::broker::sim
