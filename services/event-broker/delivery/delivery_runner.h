// Runs the delivery engine: one thread that reads the log's head, matches, and does what the engine
// asks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/delivery/catch_up.h"
#include "services/event-broker/delivery/event_loader.h"
#include "services/event-broker/delivery/revision_index.h"
#include "services/event-broker/domain/delivery/engine.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/invoker.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// For metrics and readiness; read from any thread.
struct DeliveryStats {
  std::atomic<std::uint64_t> matched_through = 0;
  std::atomic<std::uint64_t> in_flight = 0;
  std::atomic<std::uint64_t> capacity = 0;
  std::atomic<std::uint64_t> sent = 0;
  std::atomic<std::uint64_t> succeeded = 0;
  std::atomic<std::uint64_t> retried = 0;
  std::atomic<std::uint64_t> dead = 0;
  std::atomic<std::uint64_t> rejected = 0;
  std::atomic<std::uint64_t> lost = 0;
  std::atomic<std::uint64_t> unknown_results = 0;
  std::atomic<std::uint64_t> commit_failures = 0;
};

// Thread-safe. What it is given must outlive it. Start and Stop are called once each.
class DeliveryRunner final : public DeliveryControl {
 public:
  struct Ports {
    EventLog& log;
    StateStore& store;
    Invoker& invoker;
    const RevisionSource& revisions;
    const Clock& clock;
  };
  struct StartState {
    SavedDeliveryState saved;
    // Every stored revision that has its sequence, in their order.
    std::vector<std::shared_ptr<const StoredRevision>> revisions;
    // The subscriptions as they are now.
    std::vector<Subscription> live;
  };

  DeliveryRunner(Ports ports, EngineOptions options);
  ~DeliveryRunner() override;

  void Start(StartState state);
  // Sends nothing new, waits up to `deadline` for what is in flight, makes everything durable, ends
  // the thread. What did not end in time is delivered again after the next start.
  void Stop(std::chrono::milliseconds deadline);

  void Change(std::shared_ptr<const Subscription> subscription) override;
  void GetProgress(const std::string& uid,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override;
  void Redrive(std::vector<StoredDeadLetter> letters,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override;

  const DeliveryStats& stats() const { return stats_; }

 private:
  using Message = std::function<void()>;
  // A redrive whose rows are not durable yet.
  struct Redriven {
    std::uint64_t transaction = 0;  // The first one that holds them all, counted from 1.
    std::function<void()> done;
  };
  // A transaction on its way to the store, kept until it is durable.
  struct Commit {
    StateTransaction transaction;
    std::vector<StoredDeadLetter> dead;
  };
  // A send without its event yet.
  struct ColdSend {
    SendOrder send;
    InvocationOrder order;
  };

  void Post(Message message);
  void Run();
  bool WaitForWork();
  void RestoreState(const StartState& state);
  void ReadHead();
  void TakeHeadBatch(const ScanResult& batch);
  void TakeControl(const EventRecord& record);
  void TakeResults(const std::vector<DeliveryResult>& results);
  void Perform();
  void PerformSends(std::vector<SendOrder> sends);
  std::optional<InvocationOrder> MakeOrder(const SendOrder& send) const;
  void SendCold(std::vector<ColdSend>& cold);
  void SendRedriven(const SendOrder& send);
  void FailUnreadable(const SendOrder& send, const absl::Status& status);
  void StartCommit(StateTransaction transaction);
  StoredDeadLetter DescribeDead(const DeadDelivery& dead) const;
  void WriteCommit();
  void CommitDone(const absl::Status& status);
  void PublishStats();
  const Subscription* FindSubscription(const std::string& uid) const;
  EngineTime now() const { return {ports_.clock.Wall(), ports_.clock.Monotonic()}; }
  static DeliverySettings SettingsOf(const Subscription& subscription);

  const Ports ports_;
  const EngineOptions options_;
  DeliveryStats stats_;

  // The mailbox of the thread.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Message> messages_;
  Sequence head_ = kNoSequence;
  std::optional<std::chrono::steady_clock::time_point> stop_by_;
  std::thread thread_;
  std::unique_ptr<HeadListener> head_listener_;
  std::unique_ptr<CatchUp> catch_up_;
  std::unique_ptr<EventLoader> loader_;

  // Of the thread alone.
  std::optional<DeliveryEngine> engine_;
  EngineOutput out_;
  RevisionIndex index_;
  std::map<std::string, std::shared_ptr<const Subscription>> subscriptions_;  // By uid.
  // Deleted ones, until the transaction in which the engine forgets them.
  std::map<std::string, std::shared_ptr<const Subscription>> removed_;
  std::shared_ptr<const Commit> commit_;
  std::optional<MonotonicTime> commit_again_at_;
  std::optional<MonotonicTime> read_again_at_;  // After the head could not be read.
  std::vector<Redriven> redrives_;
  std::uint64_t transactions_started_ = 0;
  std::unique_ptr<LogPin> pin_;
  std::uint64_t sent_ = 0;
};

}  // namespace penstock::broker
