// What was in force earlier in the log.
#include <limits>

#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

SubscriptionCatalog::History SubscriptionCatalog::InForce(const std::string& space,
                                                          Sequence sequence,
                                                          const std::string& after,
                                                          std::size_t uids_max) const {
  History history;
  const std::lock_guard lock(mutex_);
  auto at = revisions_.upper_bound({after, std::numeric_limits<std::int64_t>::max()});
  for (std::size_t uids = 0; at != revisions_.end() && uids < uids_max; ++uids) {
    const std::string& uid = at->first.first;
    std::shared_ptr<const StoredRevision> in_force;
    for (; at != revisions_.end() && at->first.first == uid; ++at) {
      const Sequence from = at->second->subscription.MatchesFrom();
      if (from != kNoSequence && from <= sequence) in_force = at->second;
    }
    history.next = uid;
    if (in_force == nullptr || in_force->deleted) continue;
    if (in_force->subscription.space != space || in_force->subscription.http) continue;
    history.revisions.push_back(std::move(in_force));
  }
  if (at == revisions_.end()) history.next.clear();
  return history;
}

}  // namespace penstock::broker
