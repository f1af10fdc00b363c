// Where deliveries of pull subscriptions go: to the consumers that ask for them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

// One delivery for a consumer.
struct PullOrder {
  DeliveryKey key;
  int attempt = 1;
  std::string subscription;  // spaces/{space}/subscriptions/{subscription}
  Microseconds ack_timeout{0};
  WallTime append_time{};
  SharedBytes event;  // A serialized CloudEvent.
  bool replay = false;
};

// Hands deliveries to consumers and reports what they say. Thread-safe; never blocks.
class PullTarget {
 public:
  // What it reports, on threads of its own; must not block.
  struct Listener {
    std::function<void(std::vector<DeliveryResult>)> on_results;
    // How many more deliveries the consumers of a subscription take now, beyond those that were
    // sent already. 0: nobody is there.
    std::function<void(const std::string& uid, std::size_t credit)> on_credit;
  };

  virtual ~PullTarget() = default;

  virtual void Start(Listener listener) = 0;
  // Each order gets exactly one result: kSucceeded for an ack; kRetryable for a nack, with its
  // delay as `retry_after`, and when its time to acknowledge is over (`AckTimeout`); kUnknown when
  // it is lost with its connection; kRejected when no consumer took it.
  virtual void Send(std::vector<PullOrder> orders) = 0;
  virtual void Cancel(const DeliveryKey& key, int attempt) = 0;
};

}  // namespace penstock::broker
