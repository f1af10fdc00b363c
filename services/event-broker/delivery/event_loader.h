// Reads events that have left the log's cache, off the delivery thread.
#pragma once

#include <functional>
#include <map>

#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// One thread with a read-ahead: neighbours are asked for one after the other. Thread-safe but for
// Read. `log` must outlive it.
class EventLoader {
 public:
  explicit EventLoader(EventLog& log);
  // Stops as Stop() does.
  ~EventLoader() { Stop(); }

  // Runs `job` on the loader's thread, in the order of the calls; never after Stop.
  void Post(std::function<void()> job);
  // Ends after the jobs that are queued. Idempotent.
  void Stop() { thread_.Stop(); }

  // For jobs only. Errors as those of EventLog::Read.
  absl::StatusOr<EventRecord> Read(Sequence sequence);

 private:
  EventLog& log_;
  std::map<Sequence, EventRecord> ahead_;
  WorkerPool thread_;
};

}  // namespace penstock::broker
