// Runs delivery: a thread with a mailbox for the shell, and threads for what may block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/worker_pool.h"
#include "services/event-broker/delivery/background.h"
#include "services/event-broker/delivery/delivery_shell.h"
#include "services/event-broker/delivery/delivery_stats.h"
#include "services/event-broker/ports/delivery_control.h"

namespace penstock::broker {

// Thread-safe. What it is given must outlive it. Start and Stop are called once each.
class DeliveryRunner final : public DeliveryControl, private Background {
 public:
  DeliveryRunner(DeliveryPorts ports, DeliveryOptions options);
  ~DeliveryRunner() override;

  void Start(DeliveryStart start);
  // Sends nothing new, waits up to `deadline` for what is in flight, makes everything durable, ends
  // the threads. What did not end in time is delivered again after the next start.
  void Stop(std::chrono::milliseconds deadline);

  void Change(std::shared_ptr<const Subscription> subscription) override;
  void GetProgress(const std::string& uid,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override;
  void FindDelivery(const DeliveryKey& key,
                    std::function<void(std::optional<DeliveryWhereabouts>)> done) override;
  void Redrive(std::vector<StoredDeadLetter> letters, int per_second,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override;
  void Cancel(const DeliveryKey& key, std::function<void(CancelVerdict)> done) override;
  void Purged(const std::vector<StoredDeadLetter>& letters) override;
  void StartReplay(const StoredReplay& replay) override;
  void SetReplayPaused(const std::string& lane, bool paused) override;
  void EndReplay(const std::string& lane) override;
  void CountMatches(const std::string& uid, Sequence from, Sequence to,
                    std::function<void(absl::StatusOr<std::int64_t>)> done) override;

  const DeliveryStats& stats() const { return stats_; }

 private:
  void Post(Message message) override;
  void Run(Lane lane, std::function<Message()> work) override;
  void RunShell();
  bool WaitForWork();

  EventLog& log_;
  const Clock& clock_;
  DeliveryStats stats_;
  DeliveryShell shell_;  // Of the thread alone, once it runs.

  // The mailbox of the thread.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Message> messages_;
  bool head_moved_ = false;
  std::optional<std::chrono::steady_clock::time_point> stop_by_;

  WorkerPool scans_;
  WorkerPool loads_;
  std::unique_ptr<HeadListener> head_listener_;
  std::thread thread_;
};

}  // namespace penstock::broker
