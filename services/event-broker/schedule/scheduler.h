// Publishes events whose time has come.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/event_schedule.h"
#include "services/event-broker/schedule/schedule_metrics.h"

namespace penstock::broker {

// The schedule as everybody uses it: passes calls on to where it is stored, and appends what is due
// to the log. Thread-safe. What it is given must outlive it.
class Scheduler final : public EventSchedule {
 public:
  struct Options {
    // False: nothing happens by itself; PublishDue does it. For tests.
    bool own_thread = true;
    std::size_t batch_events_max = 128;
    std::size_t batch_bytes_max = 4u << 20;  // One event always goes.
  };

  Scheduler(EventSchedule& store, EventLog& log, const Clock& clock, metrics::Registry& registry,
            Options options);
  Scheduler(EventSchedule& store, EventLog& log, const Clock& clock, metrics::Registry& registry)
      : Scheduler(store, log, clock, registry, Options()) {}
  // Stops as Stop() does.
  ~Scheduler() override;

  // Before the first call.
  void Start();
  // Ends after the batch under way; the log and the store must still answer. Idempotent.
  void Stop();

  void Schedule(std::vector<ScheduledEvent> events, StoreResult<std::vector<bool>> done) override;
  void ListDue(DueQuery query, StoreResult<DueEvents> done) override;
  void RemoveScheduled(std::vector<ScheduledEvent> events, StoreDone done) override;
  void ListScheduled(ScheduledQuery query, StoreResult<ScheduledPage> done) override;
  void GetScheduled(const std::string& space, const std::string& key,
                    StoreResult<ScheduledEvent> done) override;
  void CancelScheduled(const std::string& space, const std::string& key,
                       StoreResult<ScheduledEvent> done) override;
  void CountScheduled(StoreResult<std::uint64_t> done) override;

  // Publishes what is due now, if anything can be. Gives how many events left the schedule. Blocks.
  std::size_t PublishDue();

 private:
  using Events = std::vector<ScheduledEvent>;
  using Name = std::pair<std::string, std::string>;  // Space and key.

  struct WaitingCancel {
    Name name;
    StoreResult<ScheduledEvent> done;
  };
  // What one PublishDue has come to.
  struct Round {
    WallTime now{};
    std::set<std::string> refused;  // Spaces that take no events now: set aside.
    absl::Status refusal;           // The last one.
    std::size_t left = 0;           // Events that left the schedule.
  };

  void Run();
  bool IsDue() const;  // Requires mutex_.
  // Publishes once what is due in spaces that are not set aside. Gives how many events it found,
  // nothing after a failure.
  std::optional<std::size_t> PublishOnce(Round& round);
  // From here on until EndPass, cancels wait: what they are about may be on its way into the log.
  std::optional<Events> ReadDue(const Round& round);
  void EndPass();
  void StartCancel(Name name, StoreResult<ScheduledEvent> done);
  // Appends from `next` on as much as fits into one batch; true when all of it is in the log, or in
  // spaces that are set aside.
  bool AppendBatch(Round& round, Events& events, std::size_t& next, Events& published);
  bool IsInLog(const ScheduledEvent& event) const;
  bool Remove(const Events& published);
  void BackOff(const char* what, const absl::Status& status);
  void Expect(const std::vector<WallTime>& dues);

  EventSchedule& store_;
  EventLog& log_;
  const Clock& clock_;
  const Options options_;
  ScheduleMetrics metrics_;
  const WallTime started_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool stale_ = true;  // `next_due_` is not known.
  std::optional<WallTime> next_due_;
  std::optional<WallTime> added_;  // The first due time of what was scheduled since it was read.
  std::optional<MonotonicTime> retry_at_;
  Microseconds retry_delay_{0};
  bool in_pass_ = false;
  std::vector<WaitingCancel> cancels_waiting_;  // For the end of the pass.
  std::multiset<Name> cancelling_;              // The store is at it.
  std::thread thread_;
};

}  // namespace penstock::broker
