// A naive model of what the broker promises, over the whole history of a run. It knows every
// record, every revision and every call, and nothing of how the engine works.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/engine.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/invoker.h"
#include "services/event-broker/ports/pull_target.h"
#include "tests/sim/sim_store.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

class Oracle {
 public:
  // What the log may forget.
  struct Forgets {
    bool ids = false;     // After a restart, those of segments that are gone.
    bool events = false;  // Also such as somebody needs: then there is a dead letter for the range.
  };
  Oracle(World& world, const EngineOptions& engine, Forgets forgets)
      : world_(world), engine_(engine), forgets_(forgets) {}

  // Publishers, and the log: promises 1 and 2.
  void OnReceipt(const std::string& space, const std::string& id, const AppendResult& result);
  // Takes what is new in the log. Everything that it gives is durable.
  void ReadLog(EventLog& log);
  // After a restart: what was durable is there still.
  void CheckLog(EventLog& log);

  // Operators.
  void OnRevision(const Subscription& subscription, bool deleted);
  void OnSettings(const Subscription& subscription) { live_[subscription.uid] = subscription; }
  void OnReplay(const StoredReplay& replay) { replays_[replay.Lane()] = replay; }
  void OnReplayEnded(const std::string& lane) { replays_.erase(lane); }
  void OnRedrive(const DeliveryKey& key);
  void OnPurge(const DeliveryKey& key) { at(key).purged = true; }

  // The broker.
  void OnBrokerStart(std::int64_t epoch);
  void OnBrokerDied();
  void OnCommit(const StateTransaction& transaction);
  // After every step of the shell. `loading`: sends whose events are being read.
  void OnStep(const DeliveryEngine& engine, std::size_t loading);

  // Executors and consumers.
  void OnCapacity(std::size_t slots);
  void OnSend(const InvocationOrder& order);
  void OnPullSend(const PullOrder& order);
  void OnCallStart(std::uint64_t call, const InvocationOrder& order);
  // Without results when the call was given up.
  void OnCallEnd(std::uint64_t call, const InvocationOrder& order,
                 const std::vector<DeliveryResult>& results);
  void OnAcked(const DeliveryKey& key);
  // The broker is told. `again`: a second time.
  void OnResults(const std::vector<DeliveryResult>& results, bool again);

  // Whether everything that matched has found its end: the reason why not, or nothing.
  std::string Unfinished(const StoredState& state) const;
  // The same for events in order behind no poisoned one: only the failing key is held. Lanes that
  // hold all that they may take nothing new: `full` says which.
  std::string UnfinishedBesidesPoison(const StoredState& state,
                                      const std::set<std::string>& full) const;
  // Promise 4, and that nothing was sent which did not match.
  void CheckEnd(const StoredState& state) const;

  std::uint64_t calls() const { return calls_started_; }
  std::uint64_t records() const { return records_.size(); }

 private:
  struct Record {
    std::string space, type, source, id, key, color;
    bool control = false;
    bool expires = false;
    bool poison = false;
    std::uint64_t body_hash = 0;
  };
  struct Range {
    Sequence from = 1;
    Sequence to = kMaxSequence;
  };
  struct Place {  // Of a revision in the log.
    Sequence from = kNoSequence;
    std::int64_t revision = 0;
    bool deleted = false;
  };
  // One delivery, in one lane.
  struct Delivery {
    std::set<std::string> succeeded;  // Functions; "pull" for an ack.
    bool called = false;
    bool dead = false;      // In a transaction that was asked for.
    bool given_up = false;  // On its way to a sink.
    bool sunk = false;
    bool purged = false;
    bool redriven = false;
    bool replied = false;
    bool refused = false;  // By the function, for good.
    // Of the running broker, by function: attempts that ended badly, and when the next may begin.
    struct Series {
      int consumed = 0;
      std::optional<MonotonicTime> next;
    };
    std::map<std::string, Series> series;
  };
  struct InDoubt {  // Sent although an earlier one of its key has no end that we know of.
    DeliveryKey earlier;
    Sequence sent = kNoSequence;
    std::uint64_t commits = 0;
  };
  struct Breaker {
    int streak = 0;
    std::optional<MonotonicTime> opened;
    std::size_t loading = 0;
    std::int64_t sends = 0;
  };

  Delivery& at(const DeliveryKey& key) { return deliveries_[key]; }
  const Delivery* find(const DeliveryKey& key) const;
  const Subscription* FindLive(std::string_view lane) const;
  const Record* FindRecord(Sequence sequence) const;
  bool Matches(const Subscription& subscription, const Record& record) const;
  // The revision in force, by the control records of the log.
  const Subscription* InForce(const std::string& uid, Sequence sequence) const;
  bool IsDone(const Subscription& subscription, const Delivery& delivery) const;
  bool HasEnded(const DeliveryKey& key) const;
  std::string KeyOf(const DeliveryKey& key) const;  // Empty: not ordered.
  void TakeRecord(const EventRecord& stored);
  void TakeSuccess(const DeliveryKey& key, const std::string& function, bool replied);
  void CheckOrder(std::uint64_t call, const InvocationOrder& order);
  void CheckAttempt(const DeliveryKey& key, const std::string& function,
                    const Subscription& subscription);
  void CheckRate(const Subscription& subscription);
  void CheckShare(const InvocationOrder& order);
  void CheckBreaker(const InvocationOrder& order);
  void GiveUp(const std::string& uid);
  void TakeBreakerResult(const DeliveryResult& result);
  void CheckRetryShare(const DeliveryEngine& engine);
  bool CouldSend(const DeliveryEngine& engine, const Subscription& subscription) const;
  void CheckBounds(const DeliveryEngine& engine, const std::string& uid);
  std::string UnfinishedIn(const std::string& lane, const Subscription& subscription, Range range,
                           const StoredState& state, const std::set<std::string>& keys_out) const;
  static bool IsIn(const std::map<std::string, std::vector<Range>>& ranges, const std::string& name,
                   Sequence sequence);
  bool IsAmbiguous(const std::string& uid, Sequence sequence) const;

  World& world_;
  const EngineOptions engine_;
  const Forgets forgets_;
  std::map<Sequence, Record> records_;
  Sequence read_to_ = kNoSequence;
  std::map<std::pair<std::string, std::string>, Sequence> ids_;  // By space and id.
  std::map<Sequence, std::string> acknowledged_;
  std::set<std::pair<std::string, std::string>> duplicates_;  // Whose receipt names no sequence.
  std::map<std::pair<std::string, std::int64_t>, Subscription> revisions_;
  std::map<std::string, std::vector<Place>> places_;  // By uid.
  // Between two control records of one revision, the second written because the broker died before
  // it could note the first: the call had no answer yet, so both revisions are right.
  std::map<std::string, std::vector<Range>> ambiguous_;
  std::map<std::string, Subscription> live_;  // As it is now; also deleted ones.
  std::set<std::string> deleted_;
  std::set<std::pair<std::string, std::int64_t>> ends_;  // Revisions that delete.
  std::map<std::string, StoredReplay> replays_;
  std::map<DeliveryKey, Delivery> deliveries_;
  std::map<std::string, std::size_t> redriven_;        // Letters, by lane.
  std::map<std::string, std::vector<Range>> skipped_;  // By lane: what left the log.

  std::int64_t epoch_ = 0;
  bool alive_ = false;
  std::uint64_t commits_ = 0;
  std::uint64_t calls_started_ = 0;
  std::vector<InDoubt> in_doubt_;
  std::map<std::pair<std::string, std::string>, std::set<std::uint64_t>> running_;  // Lane, key.
  std::map<std::pair<std::string, std::string>, std::int64_t> epochs_;
  std::map<std::pair<DeliveryKey, int>, std::string> sent_;  // To which function; not answered.
  std::map<std::string, int> space_in_flight_;
  std::map<std::pair<DeliveryKey, int>, std::string> space_of_;
  std::size_t capacity_ = 0;
  MonotonicTime capacity_changed_{};
  std::map<std::string, std::deque<MonotonicTime>> starts_;  // Of lanes with a rate.
  std::map<std::string, Breaker> breakers_;                  // By function.
  std::size_t loading_ = 0;
  int step_sends_ = 0;
  int step_retries_ = 0;
  std::deque<bool> contended_;  // The last sends while fresh events waited: was it a retry?
};

}  // namespace penstock::broker::sim
