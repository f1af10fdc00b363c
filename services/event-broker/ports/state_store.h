// Everything of the broker that is mutable and small: subscriptions, cursors, retries, dead
// letters.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

// One revision of a subscription as stored. Revisions are kept until nothing can meet them any
// more.
struct StoredRevision {
  Subscription subscription;  // With `effective_sequence` once it is known.
  bool deleted = false;       // This revision ends the subscription.
};

// A dead letter with its own copy of the event.
struct StoredDeadLetter {
  DeadDelivery delivery;
  std::string space;
  std::string subscription;  // Its id.
  std::string function;      // Its id.
  std::string
      event;  // The record's body: a serialized CloudEvent. Empty when it could not be read.
  std::string event_id;
};

struct DeadLetterQuery {
  std::string space;
  std::optional<std::string> subscription;  // Its id.
  std::optional<DeadReason> reason;
  std::optional<std::string> event_id;
  std::vector<std::string> ids;  // Delivery ids; empty for all.
  std::string after;             // Position from an earlier page; empty from the start.
  std::size_t limit = 50;
};

struct DeadLetterPage {
  std::vector<StoredDeadLetter> letters;  // Oldest first.
  std::string next;                       // Position to go on from; empty at the end.
};

// Thread-safe. Calls with `done` never block and call it exactly once, on the store's own thread,
// after what they did is durable. Calls without block.
class StateStore {
 public:
  using Done = std::function<void(absl::Status)>;
  template <typename T>
  using Result = std::function<void(absl::StatusOr<T>)>;

  virtual ~StateStore() = default;

  // All revisions that are kept, by uid and revision.
  virtual absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() = 0;
  virtual absl::StatusOr<SavedDeliveryState> LoadDeliveryState() = 0;

  // Stores a revision as pending: nothing meets it yet. ALREADY_EXISTS when another live
  // subscription has the same space and id, or the same route key.
  virtual void SaveRevision(StoredRevision revision, Done done) = 0;
  // The revision's control record is in the log at `effective`. `deleted` revisions end the
  // subscription.
  virtual void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                                Done done) = 0;
  // A pending revision that came to nothing.
  virtual void DropRevision(const std::string& uid, std::int64_t revision, Done done) = 0;
  // Metadata, pause and limits: what applies at once and needs no control record.
  virtual void UpdateInPlace(const Subscription& subscription, Done done) = 0;
  // Revisions of `uid` that end at or before `horizon` and are not the newest may go.
  virtual void PruneRevisions(Sequence horizon, Done done) = 0;

  // One transaction. `events` holds the events for `transaction.dead`, in its order.
  virtual void Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                      Done done) = 0;

  // Dead letters that are not being redriven now.
  virtual void ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) = 0;
  // Whether or not it is being redriven.
  virtual void GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) = 0;
  virtual void PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) = 0;
  // How many dead letters a subscription has.
  virtual void CountDeadLetters(const std::string& uid, Result<std::int64_t> done) = 0;

  // Copies the store as of now to a new file. Blocks.
  virtual absl::Status Backup(const std::string& path) = 0;
  virtual void Stop() = 0;
};

}  // namespace penstock::broker
