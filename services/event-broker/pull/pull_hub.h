// Joins delivery to the consumers of pull subscriptions.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/ports/pull_consumers.h"
#include "services/event-broker/ports/pull_target.h"
#include "services/event-broker/pull/pull_group.h"

namespace penstock::broker {

// See PullTarget and PullConsumers. Results, credit and consumers' handlers come on its own thread,
// one after the other. Consumers must not outlive it.
class PullHub final : public PullTarget, public PullConsumers {
 public:
  // What is known about subscriptions. Thread-safe functions that do not block.
  struct Subscriptions {
    std::function<absl::StatusOr<Subscription>(const std::string& space, const std::string& id)>
        get;
    std::function<std::optional<Subscription>(const std::string& uid)> find;
  };
  struct Options {
    // False: nothing happens by itself; Tick does it. For tests.
    bool own_thread = true;
    Microseconds check_interval{1'000'000};  // How often subscriptions are looked at again.
  };

  PullHub(Subscriptions subscriptions, const Clock& clock, Options options);
  PullHub(Subscriptions subscriptions, const Clock& clock)
      : PullHub(std::move(subscriptions), clock, Options()) {}
  // Stops as Stop() does.
  ~PullHub() override;

  // Of PullTarget. What comes before is told when it starts.
  void Start(Listener listener) override;
  void Send(std::vector<PullOrder> orders) override;
  void Cancel(const DeliveryKey& key, int attempt) override;
  // Ends the consumers with UNAVAILABLE and gives everything back, also what is sent afterwards, as
  // long as the listener lives. Blocks until everybody was told. Idempotent.
  void Stop();

  absl::StatusOr<std::shared_ptr<PullConsumer>> Join(const std::string& subscription,
                                                     const ConsumerOptions& options,
                                                     ConsumerHandlers handlers) override;
  absl::StatusOr<std::vector<std::string>> Acknowledge(
      const std::string& subscription, const std::vector<std::string>& delivery_ids) override;
  absl::StatusOr<std::vector<std::string>> Reject(
      const std::string& subscription, const std::vector<PullRejection>& rejections) override;
  absl::StatusOr<std::vector<std::string>> Extend(
      const std::string& subscription, const std::vector<std::string>& delivery_ids) override;

  const PullStats& stats() const { return stats_; }
  // The consumers of the subscription with this uid, and how many more events they take.
  struct Demand {
    std::size_t consumers = 0;
    std::size_t credit = 0;
  };
  Demand DemandFor(const std::string& uid);

  // Does what is due and tells everybody. Not while it has its own thread.
  void Tick();

 private:
  class Consumer;

  using Step = std::function<void(PullGroup& group, MonotonicTime now, PullNews& news)>;

  absl::StatusOr<Subscription> FindPulled(const std::string& subscription) const;
  PullGroup& GroupOf(const std::string& uid, const std::string& name);  // Requires mutex_.
  // Runs the step if there is such a group, and sees to what follows from it.
  void With(const std::string& uid, const Step& step);
  void AfterStep(PullGroup& group);  // Requires mutex_.
  bool Work();                       // Requires mutex_. True when there is something to do now.
  void CheckSubscriptions();
  void Tell(PullNews news, const std::map<std::string, std::size_t>& credit);
  void Run();

  const Subscriptions subscriptions_;
  const Clock& clock_;
  const Options options_;
  PullStats stats_;
  Listener listener_;  // Set before started_.

  std::mutex mutex_;
  std::condition_variable wake_;
  bool started_ = false;
  bool stopping_ = false;
  bool check_now_ = false;
  MonotonicTime check_at_{};
  std::uint64_t next_member_ = 1;
  std::map<std::string, std::unique_ptr<PullGroup>> groups_;  // By uid.
  std::set<std::pair<MonotonicTime, std::string>> due_;       // Next timeouts of groups.
  std::map<std::string, MonotonicTime> due_of_;
  PullNews news_;
  std::thread thread_;
};

}  // namespace penstock::broker
