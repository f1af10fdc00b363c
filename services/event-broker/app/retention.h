// Keeps the log within its limits and verified, and the catalog tidy, on a thread of its own.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/storage/segment_log.h"

namespace penstock::broker {

// Once a second the catalog's maintenance; once a minute retention, then one sealed segment is read
// again and verified. What it is given must outlive it.
class LogKeeper {
 public:
  LogKeeper(SegmentLog& log, SubscriptionCatalog& catalog);
  ~LogKeeper();

 private:
  void Run();
  void KeepLog();

  SegmentLog& log_;
  SubscriptionCatalog& catalog_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
