// One run: subscriptions, publishers, operators and faults by chance, then calm, then the verdict.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/fault/power_cut/simulated_disk.h"
#include "tests/fault/power_cut/unsynced_files.h"
#include "tests/sim/broker_run.h"
#include "tests/sim/events.h"

namespace penstock::broker::sim {

struct RunResult {
  std::uint64_t digest = 0;
  std::string violation;  // Empty: every promise was kept.
  std::uint64_t steps = 0;
  std::uint64_t calls = 0;
  std::uint64_t records = 0;
  std::int64_t crashes = 0;
};

RunResult RunSeed(std::uint64_t seed, Flaw flaw, bool trace);

// The clock that delivery is given; for the flaw, one whose timers run in wall time.
class DeliveryClock final : public Clock {
 public:
  DeliveryClock(const FakeClock& clock, bool wall_timers)
      : clock_(clock), wall_timers_(wall_timers) {}
  WallTime Wall() const override { return clock_.Wall(); }
  MonotonicTime Monotonic() const override {
    return wall_timers_ ? MonotonicTime(clock_.Wall().time_since_epoch()) : clock_.Monotonic();
  }

 private:
  const FakeClock& clock_;
  const bool wall_timers_;
};

class Scenario {
 public:
  Scenario(std::uint64_t seed, Flaw flaw, bool trace);
  RunResult Run();

 private:
  // What a run is like; drawn once.
  struct Mood {
    int events = 200;
    int executors = 2;
    int slots = 8;
    double crashes = 0.3;  // A second.
    double cuts = 0.2;
    double commands = 0.5;
    double jumps = 0.05;
    bool storm = false;    // Many retries beside fresh events.
    bool outages = false;  // Functions that fail for a while.
    bool retention = false;
    bool skips = false;  // Pins hold little: who is slow loses events.
  };

  static Mood DrawMood(Dice& dice);
  static EngineOptions DrawEngine(Dice& dice, const Mood& mood);
  static SegmentLogOptions DrawLog(Dice& dice, const Mood& mood);

  // scenario.cc
  void Boot();
  void CrashNow();
  void PowerLost();
  void RunFor(Microseconds time);
  bool Broken() const { return !world_.violation().empty(); }
  void Every(double per_second, std::function<void()> what);
  void Finish();
  bool WaitUntilDone(Microseconds bound, const std::function<std::string()>& reason);
  void CalmCommands();
  std::set<std::string> FullLanes() const;
  void Describe();
  void PurgeAll();

  // scenario_load.cc
  void PublishSome();
  void PublishOne();
  void Send(const std::shared_ptr<EventPlan>& plan, int tries_left);
  Subscription DrawSubscription();
  void DrawPolicies(Subscription& subscription);
  void DrawShape(Subscription& subscription);
  Behaviour DrawBehaviour();
  void DrawFunctions();

  // scenario_commands.cc
  void CommandSome();
  void ChangeSettings(Subscription subscription);
  void ChangeFilter(Subscription subscription);
  void Recreate(const Subscription& subscription);
  void Steer(Subscription subscription, SubscriptionState state);
  void StartReplay(const Subscription& subscription);
  void RedriveSome();
  void PurgeSome();
  void JumpClock();
  void StartOutage();
  void ApplyRetention();

  World world_;
  const Flaw flaw_;
  const Mood mood_;
  const EngineOptions engine_;
  const SegmentLogOptions log_options_;
  DeliveryClock delivery_clock_;
  SimulatedDisk disk_;
  UnsyncedFiles unsynced_;
  StoredState state_;
  Oracle oracle_;
  Executors executors_;
  Consumers consumers_;
  std::vector<std::unique_ptr<BrokerRun>>
      graveyard_;  // What still is in the schedule refers to it.
  std::unique_ptr<BrokerRun> broker_;
  std::vector<std::string> functions_;
  std::int64_t crashes_ = 0;
  std::uint64_t ids_era_ = 0;       // Rises when the clock jumps: no publisher tries again over it.
  std::set<std::string> replayed_;  // Their filters stay: a replay has the filter of the moment.
  int next_uid_ = 1;
  int next_event_ = 1;
  int next_replay_ = 1;
  bool calm_ = false;
};

}  // namespace penstock::broker::sim
