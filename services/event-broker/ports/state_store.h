// Everything of the broker that is mutable and small.
#pragma once

#include <string>

#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/delivery_state_store.h"
#include "services/event-broker/ports/event_schedule.h"
#include "services/event-broker/ports/replay_store.h"
#include "services/event-broker/ports/revision_store.h"

namespace penstock::broker {

// All of it in one store, so that what belongs together is one transaction.
class StateStore : public RevisionStore,
                   public DeliveryStateStore,
                   public DeadLetterStore,
                   public ReplayStore,
                   public EventSchedule {
 public:
  using Done = StoreDone;
  template <typename T>
  using Result = StoreResult<T>;

  ~StateStore() override = default;

  // Copies the store as of now to a new file. Blocks.
  virtual absl::Status Backup(const std::string& path) = 0;
  virtual void Stop() = 0;
};

}  // namespace penstock::broker
