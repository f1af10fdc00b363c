// Where events go to become durable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "libs/base/time.h"

namespace penstock::gateway {

// What became of one event.
struct PublishResult {
  // Not OK: the event was refused, could not be sent, or (reason OUTCOME_UNKNOWN) may have been
  // stored.
  absl::Status status;
  std::int64_t sequence = 0;
  // Stored before, within the deduplication window.
  bool duplicate = false;
  // For a duplicate: what was stored then has other content.
  bool content_differs = false;
  // Kept until it is due.
  bool scheduled = false;
  // When it is published, of an event that is kept, and of a duplicate of one: it has no sequence.
  std::optional<WallTime> due;
};

// Called exactly once, on the loop that published.
using PublishDone = absl::AnyInvocable<void(const PublishResult&)>;

// One event on its way.
struct PublishOrder {
  // An io.cloudevents.v1.CloudEvent, serialized, with an id.
  std::string event;
  PublishDone done;
};

// Sends events to the broker and gives back its receipts.
class EventPublisher {
 public:
  virtual ~EventPublisher() = default;

  // Takes all orders, or none: RESOURCE_EXHAUSTED with a delay when too much waits already. To be
  // called on the event loop `loop`; `done` never runs inside this call. Events that are taken have
  // their result within the publisher's timeout.
  virtual absl::Status Publish(int loop, const std::string& space,
                               std::span<PublishOrder> orders) = 0;
};

}  // namespace penstock::gateway
