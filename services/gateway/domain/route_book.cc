#include "services/gateway/domain/route_book.h"

#include <utility>

namespace penstock::gateway {

RouteBook::RouteBook() : table_(std::make_shared<const RouteTable>(std::vector<Route>())) {}

std::shared_ptr<const RouteTable> RouteBook::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

std::int64_t RouteBook::revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

std::size_t RouteBook::size() const {
  const std::lock_guard lock(mutex_);
  return routes_.size();
}

bool RouteBook::Has(std::string_view subscription) const {
  const std::lock_guard lock(mutex_);
  return routes_.contains(subscription);
}

std::vector<std::function<void()>> RouteBook::Publish(std::int64_t revision) {
  std::vector<Route> routes;
  routes.reserve(routes_.size());
  for (const auto& [subscription, route] : routes_) routes.push_back(route);
  table_ = std::make_shared<const RouteTable>(std::move(routes));
  revision_ = revision;
  std::vector<std::function<void()>> reached;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    if (it->second.revision > revision_) {
      ++it;
      continue;
    }
    reached.push_back(std::move(it->second.reached));
    it = waiters_.erase(it);
  }
  return reached;
}

void RouteBook::ApplySnapshot(std::vector<RouteUpdate> routes, std::int64_t revision) {
  std::vector<std::function<void()>> reached;
  {
    const std::lock_guard lock(mutex_);
    routes_.clear();
    for (RouteUpdate& update : routes) {
      if (update.deleted) continue;
      std::string subscription = update.route.subscription;
      routes_.insert_or_assign(std::move(subscription), std::move(update.route));
    }
    reached = Publish(revision);
  }
  for (const auto& callback : reached) callback();
}

void RouteBook::ApplyChanges(std::vector<RouteUpdate> changes, std::int64_t revision) {
  std::vector<std::function<void()>> reached;
  {
    const std::lock_guard lock(mutex_);
    for (RouteUpdate& update : changes) {
      if (update.deleted) {
        routes_.erase(update.route.subscription);
        continue;
      }
      std::string subscription = update.route.subscription;
      routes_.insert_or_assign(std::move(subscription), std::move(update.route));
    }
    reached = Publish(revision);
  }
  for (const auto& callback : reached) callback();
}

std::int64_t RouteBook::WaitFor(std::int64_t revision, std::function<void()> reached) {
  {
    const std::lock_guard lock(mutex_);
    if (revision_ < revision) {
      const std::int64_t id = next_waiter_++;
      waiters_.emplace(id, Waiter{revision, std::move(reached)});
      return id;
    }
  }
  reached();
  return 0;
}

bool RouteBook::CancelWait(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  return waiters_.erase(id) > 0;
}

}  // namespace penstock::gateway
