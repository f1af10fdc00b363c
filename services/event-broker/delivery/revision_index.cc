#include "services/event-broker/delivery/revision_index.h"

#include <iterator>
#include <utility>

namespace penstock::broker {

const CompiledSubscription* InForceAt(const RevisionHistory& history, Sequence sequence) {
  auto after = history.upper_bound(sequence);
  if (after == history.begin()) return nullptr;
  return std::prev(after)->second.get();
}

void RevisionIndex::Set(const Subscription& subscription, Sequence effective, Sequence needed) {
  head_.Set(subscription);
  auto& shared = histories_[subscription.uid];
  auto changed =
      shared ? std::make_shared<RevisionHistory>(*shared) : std::make_shared<RevisionHistory>();
  // The last one at or below `needed` is the first that still counts.
  const auto after = changed->upper_bound(needed);
  if (after != changed->begin()) changed->erase(changed->begin(), std::prev(after));
  (*changed)[effective] = std::make_shared<const CompiledSubscription>(subscription);
  shared = std::move(changed);
}

void RevisionIndex::Remove(const std::string& uid) {
  head_.Remove(uid);
  histories_.erase(uid);
}

std::shared_ptr<const RevisionHistory> RevisionIndex::History(const std::string& uid) const {
  const auto at = histories_.find(uid);
  return at == histories_.end() ? nullptr : at->second;
}

}  // namespace penstock::broker
