#include "services/gateway/broker/stream_publisher.h"

namespace penstock::gateway {

StreamPublisher::StreamPublisher(http::EventLoops& loops, rpc::LazyChannel& channel,
                                 const Clock& clock, metrics::Registry& registry, Options options)
    : loops_(loops), metrics_(registry) {
  for (int loop = 0; loop < loops.size(); ++loop) {
    lanes_.push_back(std::make_shared<PublishLane>(
        PublishLane::Env{loops, loop, channel, clock, metrics_, options.timeout, options.limits}));
  }
}

StreamPublisher::~StreamPublisher() { Stop(); }

absl::Status StreamPublisher::Publish(int loop, const std::string& space,
                                      std::span<PublishOrder> orders) {
  return lanes_[static_cast<std::size_t>(loop)]->Publish(space, orders);
}

void StreamPublisher::SetTimeout(std::chrono::milliseconds timeout) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    loops_.RunAndWait(static_cast<int>(i),
                      [&lane = *lanes_[i], timeout] { lane.SetTimeout(timeout); });
  }
}

void StreamPublisher::Stop() {
  for (const auto& lane : lanes_) lane->Stop();
}

}  // namespace penstock::gateway
