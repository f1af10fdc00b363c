// The routes as the broker last told them, and who waits for a revision of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/domain/route_table.h"

namespace penstock::gateway {

// One change of one route.
struct RouteUpdate {
  // When `deleted`, only `subscription` is set.
  Route route;
  bool deleted = false;
};

// Thread-safe. Readers take the present table and keep it as long as they like.
class RouteBook {
 public:
  RouteBook();

  std::shared_ptr<const RouteTable> table() const;
  // The broker's revision that the table has; 0 before the first snapshot.
  std::int64_t revision() const;
  std::size_t size() const;
  // True when the subscription has a route.
  bool Has(std::string_view subscription) const;

  // Replaces everything. The revision may be lower than before: the broker's store was replaced.
  void ApplySnapshot(std::vector<RouteUpdate> routes, std::int64_t revision);
  void ApplyChanges(std::vector<RouteUpdate> changes, std::int64_t revision);

  // Calls `reached` once the book has `revision`: at once, in this thread, when it has it already,
  // else in the thread that applies it. Returns an id for CancelWait, 0 when it was called at once.
  std::int64_t WaitFor(std::int64_t revision, std::function<void()> reached);
  // After it returned true, `reached` is never called; false when it has been, or is about to be.
  bool CancelWait(std::int64_t id);

 private:
  struct Waiter {
    std::int64_t revision;
    std::function<void()> reached;
  };

  // Makes the table of `routes_` and takes out the waiters that have what they wait for.
  std::vector<std::function<void()>> Publish(std::int64_t revision);

  mutable std::mutex mutex_;
  std::map<std::string, Route, std::less<>> routes_;  // By subscription.
  std::shared_ptr<const RouteTable> table_;
  std::int64_t revision_ = 0;
  std::int64_t next_waiter_ = 1;
  std::map<std::int64_t, Waiter> waiters_;
};

}  // namespace penstock::gateway
