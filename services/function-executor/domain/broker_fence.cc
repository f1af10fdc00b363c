#include "services/function-executor/domain/broker_fence.h"

#include <iterator>
#include <utility>

namespace penstock::executor {

BrokerFence::Ticket BrokerFence::Enter(const std::string& broker, std::function<void()> on_clear) {
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    ticket = next_++;
    Streams& streams = brokers_[broker];
    const bool is_clear = streams.empty();
    std::function<void()>& waiting = streams[ticket];
    if (!is_clear) {
      waiting = std::move(on_clear);
      return ticket;
    }
  }
  on_clear();
  return ticket;
}

void BrokerFence::Leave(const std::string& broker, Ticket ticket) {
  std::function<void()> on_clear;
  // What the stream that leaves waited with may own that stream: it goes without the lock.
  std::function<void()> dropped;
  {
    const std::lock_guard lock(mutex_);
    const auto found = brokers_.find(broker);
    if (found == brokers_.end()) return;
    Streams& streams = found->second;
    const auto place = streams.find(ticket);
    if (place == streams.end()) return;
    dropped = std::move(place->second);
    streams.erase(place);
    if (streams.empty()) {
      brokers_.erase(found);
      return;
    }
    on_clear = std::exchange(streams.begin()->second, nullptr);
  }
  if (on_clear) on_clear();
}

std::size_t BrokerFence::Ahead(const std::string& broker, Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  const auto found = brokers_.find(broker);
  if (found == brokers_.end()) return 0;
  const Streams& streams = found->second;
  return static_cast<std::size_t>(std::distance(streams.begin(), streams.lower_bound(ticket)));
}

}  // namespace penstock::executor
