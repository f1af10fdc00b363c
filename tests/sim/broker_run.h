// One run of the broker, from its start to its death.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "services/event-broker/delivery/delivery_shell.h"
#include "tests/sim/catalog.h"
#include "tests/sim/consumers.h"
#include "tests/sim/executors.h"
#include "tests/sim/flaw.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/sim_store.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

// What a broker runs on and with. Outlives it.
struct Surroundings {
  World& world;
  Oracle& oracle;
  FileSystem& files;
  StoredState& state;
  Executors& executors;
  Consumers& consumers;
  const Clock& delivery_clock;
  Flaw flaw = Flaw::kNone;
  EngineOptions engine;
  SegmentLogOptions log;
};

// The shell's mailbox and its background, on the schedule of the world.
class BrokerRun final : public Background {
 public:
  // `on_power_lost` is called when the disk lost power during a commit.
  BrokerRun(Surroundings surroundings, std::function<bool()> powered,
            std::function<void()> on_power_lost);
  // What the log has not written yet still answers to the shell.
  ~BrokerRun() override;

  // False, with the world told, when it could not start.
  bool Start();
  // It is gone at once: nothing of it runs any more.
  void Crash();

  void Publish(AppendRequest request, std::function<void(const AppendResult&)> done);
  // Runs `command` on the shell's thread.
  void Command(std::function<void(DeliveryShell&)> command);

  SimLog& log() { return *log_; }
  SimStore& store() { return store_; }
  SimCatalog& catalog() { return *catalog_; }
  DeliveryShell& shell() { return *shell_; }

 private:
  void Post(Message message) override;
  void Run(Lane lane, std::function<Message()> work) override;
  void Wake(Microseconds delay);
  void Turn();
  void Arm();
  void Committed();

  const Surroundings with_;
  World& world_;
  const std::function<bool()> powered_;
  const std::function<void()> on_power_lost_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  DeliveryStats stats_;
  SimStore store_;
  std::unique_ptr<SimLog> log_;
  std::unique_ptr<SimCatalog> catalog_;
  std::unique_ptr<Invoker> invoker_;
  std::unique_ptr<PullTarget> pull_;
  std::unique_ptr<DeliveryShell> shell_;
  std::deque<Message> mailbox_;
  bool woken_ = false;
  std::uint64_t timer_ = 0;  // The newest one counts.
  MonotonicTime busy_until_[2] = {};
};

}  // namespace penstock::broker::sim
