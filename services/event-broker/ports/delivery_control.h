// How the catalog and the gRPC face reach the running delivery, and how delivery reaches the
// catalog.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// Gives delivery the revisions that control records name. Thread-safe; never blocks.
class RevisionSource {
 public:
  virtual ~RevisionSource() = default;
  // The stored revision, also while it is pending; null when there is none (any more).
  virtual std::shared_ptr<const StoredRevision> FindRevision(const std::string& uid,
                                                             std::int64_t match_revision) const = 0;
};

// The running delivery. Thread-safe; never blocks; callbacks come on the delivery's own thread.
class DeliveryControl {
 public:
  virtual ~DeliveryControl() = default;

  // Limits, policy, function or pause of a known subscription changed: applies to every later
  // attempt.
  virtual void Change(std::shared_ptr<const Subscription> subscription) = 0;
  // How the subscription stands; nothing when delivery does not know it (yet).
  virtual void GetProgress(const std::string& uid,
                           std::function<void(std::optional<SubscriptionProgress>)> done) = 0;
  // Where a delivery is; nothing when delivery does not know its lane.
  virtual void FindDelivery(const DeliveryKey& key,
                            std::function<void(std::optional<DeliveryWhereabouts>)> done) = 0;
  // Sends dead letters again, at `per_second` (0: at once). `done` gets how many once that is
  // durable.
  virtual void Redrive(std::vector<StoredDeadLetter> letters, int per_second,
                       std::function<void(absl::StatusOr<std::int64_t>)> done) = 0;
  // Gives one delivery up, without a dead letter. `done` comes once that is durable; of one that an
  // executor has, at once: should this process end before the attempt does, it is delivered again.
  virtual void Cancel(const DeliveryKey& key, std::function<void(CancelVerdict)> done) = 0;
  // Dead letters were purged from the store.
  virtual void Purged(const std::vector<StoredDeadLetter>& letters) = 0;
  // Starts a stored replay.
  virtual void StartReplay(const StoredReplay& replay) = 0;
  virtual void SetReplayPaused(const std::string& lane, bool paused) = 0;
  // Ends a replay: cancels what is in flight and forgets its rows.
  virtual void EndReplay(const std::string& lane) = 0;
  // Counts what of [from, to] matches the subscription, in the background. Blocks nobody.
  virtual void CountMatches(const std::string& uid, Sequence from, Sequence to,
                            std::function<void(absl::StatusOr<std::int64_t>)> done) = 0;
};

// The content of a control record: the revision that takes effect at the record's sequence.
struct ControlRecord {
  std::string uid;
  std::int64_t match_revision = 0;

  std::string Serialize() const { return uid + "/" + std::to_string(match_revision); }
  static std::optional<ControlRecord> Parse(std::string_view text);
};

}  // namespace penstock::broker
