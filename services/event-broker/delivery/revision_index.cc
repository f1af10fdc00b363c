#include "services/event-broker/delivery/revision_index.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace penstock::broker {

const CompiledSubscription* InForceAt(const RevisionHistory& history, Sequence sequence) {
  auto after = history.upper_bound(sequence);
  if (after == history.begin()) return nullptr;
  return std::prev(after)->second.get();
}

Position PositionOf(const EventRecord& record, const CloudEventAttributes& attributes,
                    const std::optional<std::string>& ordered_by) {
  Position position;
  position.sequence = record.sequence;
  position.append_time = record.append_time;
  position.bytes = static_cast<std::uint32_t>(record.body.size());
  if (!ordered_by) return position;
  if (*ordered_by == "partitionkey") {
    if (!record.ordering_key.empty()) position.key = KeyHash(record.ordering_key);
  } else if (const auto key = attributes.Attribute(*ordered_by); key && !key->empty()) {
    position.key = KeyHash(*key);
  }
  return position;
}

void RevisionIndex::Set(const Subscription& subscription, Sequence effective, Sequence needed) {
  head_.Set(subscription);
  auto& shared = histories_[subscription.uid];
  if (shared == nullptr && subscription.start.resolved != kNoSequence) {
    effective = std::min(effective, subscription.start.resolved);
  }
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

std::shared_ptr<const RevisionHistory> RevisionIndex::NewestForAll(const std::string& uid) const {
  const auto history = History(uid);
  if (history == nullptr || history->empty()) return nullptr;
  auto newest = std::make_shared<RevisionHistory>();
  newest->emplace(kNoSequence, history->rbegin()->second);
  return newest;
}

}  // namespace penstock::broker
