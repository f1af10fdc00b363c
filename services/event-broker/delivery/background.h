// What the delivery shell needs of threads, so that a simulation can stand in for them.
#pragma once

#include <cstdint>
#include <functional>

namespace penstock::broker {

// Thread-safe. Nothing given to it runs any more once its owner has stopped it.
class Background {
 public:
  enum class Lane : std::uint8_t {
    kScan,  // Passes over older parts of the log.
    kLoad,  // Single events, and the head when it has left the cache.
  };
  using Message = std::function<void()>;

  virtual ~Background() = default;

  // Runs `message` on the shell's thread, behind those of before.
  virtual void Post(Message message) = 0;
  // Runs `work`, which may block, off the shell's thread and behind the lane's earlier work; what
  // it gives runs on the shell's thread.
  virtual void Run(Lane lane, std::function<Message()> work) = 0;
};

}  // namespace penstock::broker
