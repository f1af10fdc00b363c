#include "services/event-broker/delivery/revision_index.h"

namespace penstock::broker {

const CompiledSubscription* InForceAt(const RevisionHistory& history, Sequence sequence) {
  auto after = history.upper_bound(sequence);
  if (after == history.begin()) return nullptr;
  return std::prev(after)->second.get();
}

void RevisionIndex::Set(const Subscription& subscription, Sequence effective) {
  head_.Set(subscription);
  auto& shared = histories_[subscription.uid];
  auto changed =
      shared ? std::make_shared<RevisionHistory>(*shared) : std::make_shared<RevisionHistory>();
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
