// Which revision of a subscription meets which part of the log.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/event-broker/domain/filter/matcher.h"

namespace penstock::broker {

// One subscription's conditions over the log: each from its sequence to the next one's. Null:
// nothing.
using RevisionHistory = std::map<Sequence, std::shared_ptr<const CompiledSubscription>>;

// The conditions in force at `sequence`, or null.
const CompiledSubscription* InForceAt(const RevisionHistory& history, Sequence sequence);

// The matcher at the log's head, and the history behind it. Not thread-safe.
class RevisionIndex {
 public:
  // From `effective` on, `subscription` is in force. At the head, in rising order. Nobody will ask
  // for what was in force below `needed` any more.
  void Set(const Subscription& subscription, Sequence effective, Sequence needed);
  // From `effective` on, the subscription is gone; its history goes too.
  void Remove(const std::string& uid);

  const Matcher& head() const { return head_; }
  // Shared with readers on other threads; changed copies replace it.
  std::shared_ptr<const RevisionHistory> History(const std::string& uid) const;

 private:
  Matcher head_;
  std::map<std::string, std::shared_ptr<const RevisionHistory>> histories_;
};

}  // namespace penstock::broker
