// Holds a broker's new stream back while something of its earlier ones may still run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace penstock::executor {

// Knows which streams each broker has, in the order in which they came. Keeps only what has not
// left. Thread-safe.
class BrokerFence {
 public:
  using Ticket = std::uint64_t;

  // A stream of `broker` has come. `on_clear` runs at most once, without a lock, when all earlier
  // streams of that broker have left: inside this call when there is none, else on the thread of
  // the one that leaves last. It may still be running while this ticket leaves.
  Ticket Enter(const std::string& broker, std::function<void()> on_clear);

  // A stream is over and the last of its calls has ended.
  void Leave(const std::string& broker, Ticket ticket);

  // The earlier streams that have not left.
  std::size_t Ahead(const std::string& broker, Ticket ticket) const;

 private:
  // Of one broker, the earliest first; `on_clear` while it waits.
  using Streams = std::map<Ticket, std::function<void()>>;

  mutable std::mutex mutex_;
  Ticket next_ = 1;
  std::map<std::string, Streams> brokers_;
};

}  // namespace penstock::executor
