// Executors, the functions that they run, and the network between them and the broker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/ports/invoker.h"
#include "tests/sim/flaw.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

// How a function behaves now.
struct Behaviour {
  double function_errors = 0;  // Shares of calls.
  double system_errors = 0;
  double permanent = 0;
  double hangs = 0;
  double asks_to_wait = 0;  // Answers 429 with a time.
  std::int64_t micros_max = 20'000;
  bool replies = false;  // With an event of type "reply".
};

// Executors outlive brokers. A call travels, runs and ends; its result travels back on the stream
// that it came by, or is lost with it.
class Executors {
 public:
  Executors(World& world, Oracle& oracle, Flaw flaw, int count, int slots);

  // The broker of `epoch` starts: its end of the streams.
  std::unique_ptr<Invoker> Connect(std::int64_t epoch);
  // It died: calls that travel may still arrive, late ones too.
  void BrokerDied();

  void CutStream();
  void CrashExecutor();
  // For the flaw that credits by name: results for `old_uid` are for `uid` now.
  void Recreated(const std::string& old_uid, const std::string& uid) { heirs_[old_uid] = uid; }
  // Everything works from now on; `poison` events fail still, unless they are cured.
  void Calm();
  void CurePoison() { poison_ = false; }
  void set_behaviour(const std::string& function, Behaviour behaviour) {
    functions_[function] = behaviour;
  }

 private:
  class Stream;
  enum class Stage { kTravelling, kRunning, kEnded };
  struct Call {
    InvocationOrder order;
    std::size_t executor = 0;
    std::uint64_t stream = 0;  // Its generation; results come back on this one only.
    Stage stage = Stage::kTravelling;
    bool answered = false;
    MonotonicTime sent{};
    std::vector<DeliveryResult> results;  // Once it has ended.
  };
  struct Executor {
    bool up = true;
    std::int64_t epoch = 0;    // The newest that it has seen.
    std::uint64_t stream = 0;  // 0: none.
    bool credited = false;     // The stream has credit.
    int used = 0;
  };

  void Send(std::vector<InvocationOrder> orders);
  void SendOne(InvocationOrder order);
  void Arrive(std::uint64_t id);
  void End(std::uint64_t id);
  void Kill(std::uint64_t id);
  void Cancel(const DeliveryKey& key, int attempt);
  void Answer(std::uint64_t id, std::vector<DeliveryResult> results, Microseconds delay);
  void LoseStream(std::size_t executor);
  void Open(std::size_t executor);
  void TryCredit(std::size_t executor);
  void Report();
  std::vector<DeliveryResult> Decide(const Call& call, Microseconds& takes);
  DeliveryResult DecideOne(const Call& call, const DeliveryKey& key, const SharedBytes& event,
                           Microseconds& takes);
  bool RunsOlder(std::size_t executor) const;
  static std::vector<DeliveryResult> ResultsOf(const InvocationOrder& order,
                                               DeliveryOutcome outcome, const std::string& type);

  World& world_;
  Oracle& oracle_;
  const Flaw flaw_;
  const int slots_;
  std::vector<Executor> executors_;
  std::map<std::uint64_t, Call> calls_;
  std::map<std::string, Behaviour> functions_;
  std::map<std::string, std::string> heirs_;   // By uid.
  std::optional<Invoker::Listener> listener_;  // Of the broker that lives.
  std::int64_t epoch_ = 0;
  std::uint64_t next_call_ = 1;
  std::uint64_t next_stream_ = 1;
  bool settled_ = false;
  bool calm_ = false;
  bool poison_ = true;
};

}  // namespace penstock::broker::sim
