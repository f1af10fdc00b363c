// Which revision of a subscription meets which part of the log.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/domain/filter/matcher.h"

namespace penstock::broker {

// One subscription's conditions over the log: each from its sequence to the next one's. Null:
// nothing.
using RevisionHistory = std::map<Sequence, std::shared_ptr<const CompiledSubscription>>;

// The conditions in force at `sequence`, or null.
const CompiledSubscription* InForceAt(const RevisionHistory& history, Sequence sequence);

// What the engine is given of a record that matched. `ordered_by` is the attribute that holds the
// ordering key, if there is order.
Position PositionOf(const EventRecord& record, const CloudEventAttributes& attributes,
                    const std::optional<std::string>& ordered_by);

// The matcher at the log's head, and the history behind it. Not thread-safe.
class RevisionIndex {
 public:
  // From `effective` on, `subscription` is in force; its first revision also from its start
  // position on. At the head, in rising order. Nobody will ask for what was in force below `needed`
  // any more.
  void Set(const Subscription& subscription, Sequence effective, Sequence needed);
  // From `effective` on, the subscription is gone; its history goes too.
  void Remove(const std::string& uid);

  const Matcher& head() const { return head_; }
  // Shared with readers on other threads; changed copies replace it.
  std::shared_ptr<const RevisionHistory> History(const std::string& uid) const;
  // The newest revision, as if it had always been in force; null when there is none.
  std::shared_ptr<const RevisionHistory> NewestForAll(const std::string& uid) const;

 private:
  Matcher head_;
  std::map<std::string, std::shared_ptr<const RevisionHistory>> histories_;
};

}  // namespace penstock::broker
