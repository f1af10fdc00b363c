// One event loop's stream of events to the broker.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/http/event_loops.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/channel.h"
#include "services/gateway/domain/publish_window.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

// Shared by the lanes of a publisher.
struct PublishMetrics {
  explicit PublishMetrics(metrics::Registry& registry);

  metrics::Gauge& waiting;
  metrics::Counter& streams;
  metrics::Counter& resent;
  metrics::Counter& refused;
  metrics::Counter& unknown;
};

// Keeps events until their receipts come. The stream is opened when there is something to send.
// When it breaks, events that were on their way go out once more on the next one, as the broker
// recognises them; events that never left fail at once when the broker cannot be reached.
//
// All but Stop runs on the loop; the stream's callbacks may come on other threads and are posted to
// it, a message's receipts together. `loops`, `channel`, `clock` and `metrics` must outlive it.
class PublishLane : public std::enable_shared_from_this<PublishLane> {
 public:
  struct Env {
    http::EventLoops& loops;
    int loop;
    rpc::LazyChannel& channel;
    const Clock& clock;
    PublishMetrics& metrics;
    // From Publish to the result, at most.
    std::chrono::milliseconds timeout;
    PublishLimits limits;
  };

  explicit PublishLane(const Env& env);
  ~PublishLane();

  // As EventPublisher::Publish.
  absl::Status Publish(const std::string& space, std::span<PublishOrder> orders);
  // For what is published from now on.
  void SetTimeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  // Ends the stream; what waits fails. Blocks until no callback comes any more; not on the loop.
  void Stop();

 private:
  struct Slot {
    std::string space;
    std::string event;
    PublishDone done;
    MonotonicTime deadline;
    // On how many broken streams it may have been sent.
    int sends = 0;
    bool answered = false;
  };
  struct Stream;

  void Flush();
  void OpenStream();
  void OnReceipts(const Stream& from, const void* message);
  void OnStreamEnd(const Stream& from, const absl::Status& status);
  void FailAll(const absl::Status& status);
  bool Keeps(Slot& slot, bool was_sent, bool unreachable, const absl::Status& status);
  void RetryLater();
  void Answer(Slot& slot, const PublishResult& result);
  void DropAnswered();
  void WatchDeadlines();
  void ExpireOld();

  const Env env_;
  std::chrono::milliseconds timeout_;
  PublishWindow window_;
  // By correlation id: slots_[i] has first_ + i.
  std::deque<Slot> slots_;
  std::int64_t first_ = 1;
  std::size_t waiting_ = 0;
  std::shared_ptr<Stream> stream_;
  bool flush_posted_ = false;
  bool retry_pending_ = false;
  bool watching_deadlines_ = false;
  bool stopping_ = false;

  // Streams that have not ended, for Stop.
  std::mutex end_mutex_;
  std::condition_variable ended_;
  int open_streams_ = 0;
};

}  // namespace penstock::gateway
