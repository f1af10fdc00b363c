// Packs serialized events into messages of the publish stream, without parsing them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace penstock::gateway {

struct PublishMessageLimits {
  int events_max = 256;
  // A larger event travels alone.
  std::size_t bytes_max = 512 * 1024;
};

// Messages as they fill up: penstock.events.v1.PublishStreamRequest in its wire format. Not
// thread-safe.
class PublishEncoder {
 public:
  using Limits = PublishMessageLimits;

  struct Message {
    std::string bytes;
    // The correlation id after the message's last.
    std::int64_t end = 0;
  };

  explicit PublishEncoder(Limits limits = {}) : limits_(limits) {}

  // Appends one event. Correlation ids rise.
  void Add(std::int64_t correlation_id, std::string_view space, std::string_view event);

  bool empty() const { return messages_.empty(); }
  // True when the oldest message takes no more. Only when not empty.
  bool HasFull() const {
    return messages_.size() > 1 || messages_.front().events >= limits_.events_max;
  }
  // The oldest message. Only when not empty.
  Message Take();
  void Clear();

 private:
  struct Open {
    Message message;
    int events = 0;
  };

  const Limits limits_;
  std::deque<Open> messages_;
};

}  // namespace penstock::gateway
