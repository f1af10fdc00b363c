// Reads events that have left the log's cache.
#pragma once

#include <map>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Whether an event that could not be read is gone or damaged, for good; anything else may pass.
bool IsLost(const absl::Status& status);

// Reads ahead: neighbours are asked for one after the other. Used by work of Background::kLoad
// alone. `log` must outlive it. May block.
class EventLoader {
 public:
  explicit EventLoader(EventLog& log) : log_(log) {}

  // Errors as those of EventLog::Read.
  absl::StatusOr<EventRecord> Read(Sequence sequence);

 private:
  EventLog& log_;
  std::map<Sequence, EventRecord> ahead_;
};

}  // namespace penstock::broker
