// Publishes over a PublishStream for each event loop, so that loops share nothing.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "libs/http/event_loops.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/channel.h"
#include "services/gateway/broker/publish_lane.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

struct StreamPublisherOptions {
  std::chrono::milliseconds timeout{10'000};
  // Of one stream.
  PublishLimits limits;
};

// Thread-safe as EventPublisher says. All references must outlive it.
class StreamPublisher final : public EventPublisher {
 public:
  using Options = StreamPublisherOptions;

  StreamPublisher(http::EventLoops& loops, rpc::LazyChannel& channel, const Clock& clock,
                  metrics::Registry& registry, Options options);
  // Stops as Stop() does.
  ~StreamPublisher() override;

  absl::Status Publish(int loop, const std::string& space, std::span<PublishOrder> orders) override;

  // For what is published after it returns. Not from a loop.
  void SetTimeout(std::chrono::milliseconds timeout);

  // Ends the streams; what waits gets OUTCOME_UNKNOWN. Before the loops stop. Idempotent, blocks.
  void Stop();

 private:
  http::EventLoops& loops_;
  PublishMetrics metrics_;
  std::vector<std::shared_ptr<PublishLane>> lanes_;
};

}  // namespace penstock::gateway
