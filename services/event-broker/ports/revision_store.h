// The revisions of subscriptions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/store_results.h"

namespace penstock::broker {

// What delivery left behind of a lane.
struct SavedLane {
  Cursor cursor;
  std::vector<RetryRow> rows;          // Ascending.
  SavedDeliveryState::DeadCount dead;  // Of it and its replays.
};

// One revision of a subscription as stored. Revisions are kept until nothing can meet them any
// more.
struct StoredRevision {
  Subscription subscription;  // With `effective_sequence` once it is known.
  bool deleted = false;       // This revision ends the subscription.
  // Of the first revision of a subscription that adopted another one: where delivery goes on when
  // it does not know the subscription yet. Null otherwise, and once delivery knows it.
  std::shared_ptr<const SavedLane> adopted;
};

// See StoreDone for threads.
class RevisionStore {
 public:
  virtual ~RevisionStore() = default;

  // All revisions that are kept, by uid and revision.
  virtual absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() = 0;

  // Stores a revision as pending: nothing meets it yet. ALREADY_EXISTS when another live
  // subscription has the same space and id, or the same route key.
  virtual void SaveRevision(StoredRevision revision, StoreDone done) = 0;
  // The same for the first revision of a subscription that goes on where `from_uid` ended: in the
  // same transaction, the cursor, rows and dead letters of `from_uid` (which was deleted, and which
  // delivery has let go) become its own, and its `start.resolved`, when it is lower, becomes the
  // sequence after the cursor's floor. NOT_FOUND when there is no cursor, as long as delivery has
  // not let go. Gives the revision as it is stored, with `adopted` set.
  virtual void SaveAdopting(const std::string& from_uid, StoredRevision revision,
                            StoreResult<StoredRevision> done) = 0;
  // The revision's control record is in the log at `effective`. `deleted` revisions end the
  // subscription.
  virtual void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                                StoreDone done) = 0;
  // A pending revision that came to nothing. What it adopted goes back.
  virtual void DropRevision(const std::string& uid, std::int64_t revision, StoreDone done) = 0;
  // Metadata, pause and limits: what applies at once and needs no control record.
  virtual void UpdateInPlace(const Subscription& subscription, StoreDone done) = 0;
  // Revisions that end at or before `horizon` may go, and what deleted subscriptions left for
  // adoption goes with their last one.
  virtual void PruneRevisions(Sequence horizon, StoreDone done) = 0;
};

}  // namespace penstock::broker
