// Finds the subscriptions that an event meets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/filter/filter.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {

// What matching looks at. Context attributes besides these come through `attributes`, which is
// asked only when a filter needs it.
struct EventView {
  std::string_view space;
  std::string_view type;
  const AttributeSource* attributes = nullptr;
};

// One subscription's conditions, compiled. Immutable.
class CompiledSubscription {
 public:
  // `subscription` has passed CheckAndNormalize and is not a route.
  explicit CompiledSubscription(const Subscription& subscription);
  bool Matches(const EventView& event) const;

  const std::string& uid() const { return uid_; }
  const std::string& space() const { return space_; }
  const TypePattern& type() const { return type_; }

 private:
  std::string uid_;
  std::string space_;
  TypePattern type_;
  std::vector<Filter> filters_;
};

// The index over the subscriptions in force at one place of the log. Exact types are found by hash,
// so the cost grows with the patterns of the event's space and with what matches. Not thread-safe.
class Matcher {
 public:
  // Adds a subscription or replaces the one with the same uid.
  void Set(const Subscription& subscription);
  void Remove(const std::string& uid);

  // Appends the uids of all subscriptions that `event` meets, in order of their uids.
  void Match(const EventView& event, std::vector<std::string>& uids) const;

  std::size_t size() const { return by_uid_.size(); }

 private:
  struct SpaceIndex {
    std::map<std::string, std::map<std::string, const CompiledSubscription*>, std::less<>> exact;
    std::map<std::string, const CompiledSubscription*> patterns;
  };

  std::map<std::string, CompiledSubscription> by_uid_;
  std::map<std::string, SpaceIndex, std::less<>> spaces_;
};

}  // namespace penstock::broker
