// How the broker has functions run: by the executors, in whatever way they are reached.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

// One attempt, complete.
struct InvocationOrder {
  DeliveryKey key;
  int attempt = 1;
  std::int64_t epoch = 0;
  std::string function;      // spaces/{space}/functions/{function}
  std::string subscription;  // spaces/{space}/subscriptions/{subscription}
  std::optional<Microseconds> timeout;
  std::int64_t function_revision_min = 0;
  SharedBytes event;  // A serialized CloudEvent.
  std::string traceparent;
};

// Sends attempts to executors and reports their ends. Thread-safe; never blocks.
class Invoker {
 public:
  // What the invoker reports, on threads of its own; must not block.
  struct Listener {
    std::function<void(std::vector<DeliveryResult>)> on_results;
    // The sum of what all executors take at the same time. 0: none is there.
    std::function<void(std::size_t slots)> on_capacity;
  };

  virtual ~Invoker() = default;

  virtual void Start(Listener listener) = 0;
  // Each order gets exactly one result: kUnknown when its stream is lost after sending, kRejected
  // when it was never sent.
  virtual void Send(std::vector<InvocationOrder> orders) = 0;
  virtual void Cancel(const DeliveryKey& key, int attempt) = 0;
  // Ends the streams. Blocks until no report comes any more. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace penstock::broker
