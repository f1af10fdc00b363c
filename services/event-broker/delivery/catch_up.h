// Matches older parts of the log again, on a thread of its own, so that the head is never late.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/event-broker/delivery/revision_index.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

struct ScanAnswer {
  std::string uid;
  std::vector<Position> positions;
  Sequence next = kNoSequence;
};

// Thread-safe. `log` must outlive this object.
class CatchUp {
 public:
  // `answer` runs on this object's thread.
  CatchUp(EventLog& log, std::function<void(ScanAnswer)> answer);
  // Stops as Stop() does.
  ~CatchUp();

  // Queues a scan; scans take turns in slices, so that a long one does not hold up the others.
  void Scan(ScanOrder order, std::shared_ptr<const RevisionHistory> history);
  // Drops what is queued and ends the thread. Idempotent.
  void Stop();

 private:
  struct Job {
    ScanOrder order;
    std::shared_ptr<const RevisionHistory> history;
  };

  void Run();
  ScanAnswer RunSlice(const Job& job, bool& failed);

  EventLog& log_;
  const std::function<void(ScanAnswer)> answer_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
