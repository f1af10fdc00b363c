// Appends waiting for the next commit.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// One call of Append. It is never divided between commits.
struct AppendCall {
  std::vector<AppendRequest> requests;
  AppendDone done;
  std::size_t bytes = 0;  // Encoded size of all requests.
};

// Bounded in events and bytes. Thread-safe.
class AppendQueue {
 public:
  AppendQueue(std::size_t events_max, std::size_t bytes_max)
      : events_max_(events_max), bytes_max_(bytes_max) {}

  // RESOURCE_EXHAUSTED when the call does not fit, UNAVAILABLE after Close().
  absl::Status Push(AppendCall call);
  // Takes waiting calls up to `bytes_max`, at least one. With `wait`, blocks until there is one;
  // empty after Close() when none is left.
  std::vector<AppendCall> Take(std::size_t bytes_max, bool wait);
  // Refuses further calls; Take goes on giving those that wait.
  void Close();

  std::size_t events() const;
  std::size_t bytes() const;

 private:
  const std::size_t events_max_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<AppendCall> calls_;
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace penstock::broker
