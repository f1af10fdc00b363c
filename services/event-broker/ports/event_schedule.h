// Events that are published later.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/ports/store_results.h"

namespace penstock::broker {

// An event that is published later.
struct ScheduledEvent {
  std::string key;  // Names it in its space: made of source and id.
  std::string space;
  std::string type;
  std::string source;
  std::string id;
  std::string ordering_key;
  std::string body;  // A serialized CloudEvent.
  std::uint64_t content_hash = 0;
  WallTime due{};
  WallTime create_time{};
};

struct ScheduledQuery {
  std::string space;
  std::optional<std::string> event_id;
  std::string after;  // Position from an earlier page; empty from the start.
  std::size_t limit = 50;
};

struct ScheduledPage {
  std::vector<ScheduledEvent> events;  // The next one due first.
  std::string next;                    // Position to go on from; empty at the end.
};

struct DueQuery {
  WallTime now{};
  std::size_t limit = 128;
  std::set<std::string> spaces_except;  // As if they had no events.
};

// See StoreDone for threads.
class EventSchedule {
 public:
  virtual ~EventSchedule() = default;

  // Stores events that are published later, in one transaction. The result says for each whether it
  // is new: false when its space and key are scheduled already, or were within `window`.
  virtual void Schedule(std::vector<ScheduledEvent> events,
                        StoreResult<std::vector<bool>> done) = 0;
  // Those that are due, the earliest first, and when the next one after them is due.
  struct DueEvents {
    std::vector<ScheduledEvent> events;
    std::optional<WallTime> next;
  };
  virtual void ListDue(DueQuery query, StoreResult<DueEvents> done) = 0;
  // They are in the log.
  virtual void RemoveScheduled(std::vector<ScheduledEvent> events, StoreDone done) = 0;
  virtual void ListScheduled(ScheduledQuery query, StoreResult<ScheduledPage> done) = 0;
  virtual void GetScheduled(const std::string& space, const std::string& key,
                            StoreResult<ScheduledEvent> done) = 0;
  // NOT_FOUND when it is not there (any more). Gives what was taken back.
  virtual void CancelScheduled(const std::string& space, const std::string& key,
                               StoreResult<ScheduledEvent> done) = 0;
  // Of all spaces.
  virtual void CountScheduled(StoreResult<std::uint64_t> done) = 0;
};

}  // namespace penstock::broker
