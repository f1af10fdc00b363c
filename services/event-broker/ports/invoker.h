// How the broker has functions run: by the executors, in whatever way they are reached.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/domain/catalog/subscription.h"
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
  bool replay = false;
  // By key and in order: when the stream is lost, the result waits until nothing can run any more.
  bool ordered = false;
  // The subscription delivers in batches: the function gets a list, also of one event.
  bool batched = false;
  LanePurpose purpose = LanePurpose::kEvents;
  // Further events of the same call.
  struct Batched {
    DeliveryKey key;
    SharedBytes event;
  };
  std::vector<Batched> batch;
};

// Sends attempts to executors and reports their ends. Thread-safe; never blocks.
class Invoker {
 public:
  // What the invoker reports, on threads of its own; must not block.
  struct Listener {
    std::function<void(std::vector<DeliveryResult>)> on_results;
    // The sum of what all executors take at the same time. 0: none is there.
    std::function<void(std::size_t slots)> on_capacity;
    // Once: no call of before the start runs on any executor any more.
    std::function<void()> on_settled;
  };

  virtual ~Invoker() = default;

  virtual void Start(Listener listener) = 0;
  // Each event of each order gets exactly one result: kUnknown when its stream is lost after
  // sending (for `ordered` ones only once the executor has confirmed that the call ended, or at the
  // latest 5 s after its timeout), kRejected when it was never sent.
  virtual void Send(std::vector<InvocationOrder> orders) = 0;
  // Gives an attempt up; it still gets its result. A batch goes by its first event.
  virtual void Cancel(const DeliveryKey& key, int attempt) = 0;
  // Ends the streams. Blocks until no report comes any more. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace penstock::broker
