// Takes events that are published later.
#pragma once

#include <penstock/events/v1/event.pb.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/worker_pool.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/ports/event_schedule.h"

namespace penstock::broker {

// Names a scheduled event in its space: a digest of source and id.
std::string ScheduleKey(std::string_view source, std::string_view id);

// Puts events into the schedule that neither it nor the log (within the deduplication window) has.
// Thread-safe; never blocks. What it is given must outlive it and every call.
class ScheduleIntake {
 public:
  using Receipts = std::vector<penstock::events::v1::PublishReceipt>;
  // A receipt for each event, in order. Called exactly once, on any thread.
  using Done = std::function<void(Receipts)>;

  ScheduleIntake(EventLog& log, EventSchedule& schedule, WorkerPool& readers, const Clock& clock,
                 Microseconds dedup_window)
      : log_(log),
        schedule_(schedule),
        readers_(readers),
        clock_(clock),
        dedup_window_(dedup_window) {}

  // All of them have a due time.
  void Take(std::vector<CheckedEvent> events, Done done);

 private:
  struct Work;

  void LookInLog(Work& work) const;
  void Schedule(const std::shared_ptr<Work>& work);
  void DescribeKnown(const std::shared_ptr<Work>& work, std::size_t index);

  EventLog& log_;
  EventSchedule& schedule_;
  WorkerPool& readers_;
  const Clock& clock_;
  const Microseconds dedup_window_;
};

}  // namespace penstock::broker
