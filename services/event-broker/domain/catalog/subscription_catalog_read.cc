// The catalog's reading side: lookups, lists, revisions and routes.
#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

constexpr char kHttpRequestType[] = "http.request";

bool MatchesRequests(const Subscription& subscription) {
  return !subscription.http &&
         TypePattern::Parse("eventType", subscription.event_type)->Matches(kHttpRequestType);
}

}  // namespace

absl::StatusOr<Subscription> SubscriptionCatalog::Get(const std::string& space,
                                                      const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto at = live_.find({space, id});
  if (at != live_.end()) return at->second;
  return absl::NotFoundError(
      fmt::format("subscription \"spaces/{}/subscriptions/{}\" not found", space, id));
}

std::vector<Subscription> SubscriptionCatalog::List(
    const std::string& space, const std::string& after, std::size_t limit,
    const std::function<bool(const Subscription&)>& wanted) const {
  const std::lock_guard lock(mutex_);
  std::vector<Subscription> found;
  for (auto at = live_.upper_bound({space, after});
       at != live_.end() && at->first.first == space && found.size() < limit; ++at) {
    if (wanted(at->second)) found.push_back(at->second);
  }
  return found;
}

std::vector<FunctionReferences::Reference> SubscriptionCatalog::References() const {
  const std::lock_guard lock(mutex_);
  std::vector<FunctionReferences::Reference> references;
  for (const auto& [key, subscription] : live_) {
    for (const std::string& function : subscription.FunctionsHeld()) {
      references.push_back({subscription.FunctionName(function), subscription.Name()});
    }
  }
  for (const auto& [function, holder] : acquiring_) references.push_back({function, holder});
  return references;
}

SubscriptionCatalog::ReferenceCounts SubscriptionCatalog::reference_counts() const {
  const std::lock_guard lock(mutex_);
  ReferenceCounts counts = reference_counts_;
  counts.in_flight += acquiring_.size();
  return counts;
}

std::vector<Subscription> SubscriptionCatalog::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<Subscription> all;
  for (const auto& [key, subscription] : live_) all.push_back(subscription);
  return all;
}

std::optional<Subscription> SubscriptionCatalog::FindByUid(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto key = by_uid_.find(uid);
  if (key == by_uid_.end()) return std::nullopt;
  return live_.at(key->second);
}

std::set<std::string> SubscriptionCatalog::Spaces() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> spaces;
  for (const auto& [key, subscription] : live_) spaces.insert(key.first);
  return spaces;
}

std::vector<std::shared_ptr<const StoredRevision>> SubscriptionCatalog::Revisions() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const StoredRevision>> all;
  for (const auto& [id, stored] : revisions_) {
    if (stored->subscription.effective_sequence != kNoSequence) all.push_back(stored);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a->subscription.effective_sequence < b->subscription.effective_sequence;
  });
  return all;
}

std::shared_ptr<const StoredRevision> SubscriptionCatalog::FindRevision(
    const std::string& uid, std::int64_t match_revision) const {
  const std::lock_guard lock(mutex_);
  const auto at = revisions_.find({uid, match_revision});
  return at == revisions_.end() ? nullptr : at->second;
}

std::map<std::string, Route> SubscriptionCatalog::ComputeRoutes() const {
  std::set<std::string> publishing;  // Spaces in which requests are events that somebody wants.
  for (const auto& [key, subscription] : live_) {
    if (!publishing.contains(key.first) && MatchesRequests(subscription))
      publishing.insert(key.first);
  }
  std::map<std::string, Route> routes;
  for (const auto& [key, subscription] : live_) {
    if (!subscription.http) continue;
    routes[subscription.Name()] = {subscription.uid, subscription.Name(), *subscription.http,
                                   subscription.FunctionName(subscription.function),
                                   publishing.contains(key.first)};
  }
  return routes;
}

void SubscriptionCatalog::NotifyRoutes(Sequence sequence) {
  revision_ = std::max(revision_, static_cast<std::int64_t>(sequence));
  std::map<std::string, Route> routes = ComputeRoutes();
  RouteChanges changes;
  changes.revision = revision_;
  for (const auto& [name, route] : routes) {
    const auto old = routes_.find(name);
    if (old == routes_.end() || !(old->second == route)) changes.routes.push_back(route);
  }
  for (const auto& [name, route] : routes_) {
    if (!routes.contains(name)) changes.deleted.push_back(name);
  }
  routes_ = std::move(routes);
  // Sent also when no route changed: a gateway waits until its copy has the revision of a mutation.
  for (const auto& [id, listener] : route_listeners_) listener(changes);
}

std::int64_t SubscriptionCatalog::WatchRoutes(std::function<void(const RouteChanges&)> listener) {
  const std::lock_guard lock(mutex_);
  RouteChanges snapshot;
  snapshot.revision = revision_;
  snapshot.snapshot = true;
  for (const auto& [name, route] : routes_) snapshot.routes.push_back(route);
  listener(snapshot);
  const std::int64_t id = next_listener_++;
  route_listeners_.emplace(id, std::move(listener));
  return id;
}

void SubscriptionCatalog::Unwatch(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  route_listeners_.erase(id);
}

std::int64_t SubscriptionCatalog::revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

}  // namespace penstock::broker
