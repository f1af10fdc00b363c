// Cursors, retries, and what becomes durable with them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/store_results.h"

namespace penstock::broker {

// See StoreDone for threads.
class DeliveryStateStore {
 public:
  virtual ~DeliveryStateStore() = default;

  // Larger than of any opening of the same state before this one. From an opening on, all writes
  // of earlier ones are refused with ABORTED. Goes with each call to an executor.
  virtual std::int64_t epoch() const = 0;

  // Without what is left of lanes that ended.
  virtual absl::StatusOr<SavedDeliveryState> LoadDeliveryState() = 0;
  // One transaction. `dead` is `transaction.dead` with copies of the events, in its order. Cursor
  // and rows of a forgotten subscription are set aside, as of the transaction before, for
  // RevisionStore::SaveAdopting; its replays go.
  virtual void Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                      StoreDone done) = 0;
};

}  // namespace penstock::broker
