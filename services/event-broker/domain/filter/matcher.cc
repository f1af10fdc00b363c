#include "services/event-broker/domain/filter/matcher.h"

#include <algorithm>

namespace penstock::broker {

CompiledSubscription::CompiledSubscription(const Subscription& subscription)
    : uid_(subscription.uid),
      space_(subscription.space),
      type_(*TypePattern::Parse("eventType", subscription.event_type)),
      filters_(subscription.filters) {}

bool CompiledSubscription::Matches(const EventView& event) const {
  return event.space == space_ && type_.Matches(event.type) &&
         std::all_of(filters_.begin(), filters_.end(),
                     [&](const Filter& filter) { return Holds(filter, *event.attributes); });
}

void Matcher::Set(const Subscription& subscription) {
  Remove(subscription.uid);
  const auto [at, inserted] = by_uid_.emplace(subscription.uid, CompiledSubscription(subscription));
  const CompiledSubscription& compiled = at->second;
  SpaceIndex& index = spaces_[compiled.space()];
  if (compiled.type().exact()) {
    index.exact[compiled.type().text()][compiled.uid()] = &compiled;
  } else {
    index.patterns[compiled.uid()] = &compiled;
  }
}

void Matcher::Remove(const std::string& uid) {
  const auto at = by_uid_.find(uid);
  if (at == by_uid_.end()) return;
  const auto space = spaces_.find(at->second.space());
  SpaceIndex& index = space->second;
  index.patterns.erase(uid);
  const auto exact = index.exact.find(at->second.type().text());
  if (exact != index.exact.end()) {
    exact->second.erase(uid);
    if (exact->second.empty()) index.exact.erase(exact);
  }
  if (index.exact.empty() && index.patterns.empty()) spaces_.erase(space);
  by_uid_.erase(at);
}

void Matcher::Match(const EventView& event, std::vector<std::string>& uids) const {
  const auto space = spaces_.find(event.space);
  if (space == spaces_.end()) return;
  const std::size_t before = uids.size();
  const auto add_matching =
      [&](const std::map<std::string, const CompiledSubscription*>& candidates) {
        for (const auto& [uid, subscription] : candidates) {
          if (subscription->Matches(event)) uids.push_back(uid);
        }
      };
  const auto exact = space->second.exact.find(event.type);
  if (exact != space->second.exact.end()) add_matching(exact->second);
  add_matching(space->second.patterns);
  std::sort(uids.begin() + static_cast<std::ptrdiff_t>(before), uids.end());
}

}  // namespace penstock::broker
