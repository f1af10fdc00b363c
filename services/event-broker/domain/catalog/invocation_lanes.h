// The broker's own subscriptions, which deliver asynchronous invocations: one for each function
// that is invoked so, and one for results that go to URLs.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

class SubscriptionCatalog;

// The id of the subscription that delivers invocations (or results) of a function. Long names are
// cut, and told apart by a hash.
std::string InvocationLaneId(LanePurpose purpose, std::string_view function);

// Makes the subscriptions when they are needed for the first time, and keeps their policies to what
// the functions say. They hold no function: one that is deleted leaves its invocations to fail.
// Thread-safe; never blocks. The catalog must outlive it.
class InvocationLanes {
 public:
  struct Lane {
    LanePurpose purpose = LanePurpose::kCalls;
    std::string space;
    std::string function;
    RetryPolicy retry;
  };
  using Done = std::function<void(absl::Status)>;

  explicit InvocationLanes(SubscriptionCatalog& catalog) : catalog_(catalog) {}

  // What is appended to the log after `done(OK)` is delivered by all of `lanes`.
  void Ensure(std::vector<Lane> lanes, Done done);

 private:
  using Key = std::pair<std::string, std::string>;  // Space and id.

  void EnsureOne(const Lane& lane, int tries, Done done);
  void Change(const Lane& lane, const std::string& id, Done done);
  void Finish(const Key& key, const absl::Status& status);

  SubscriptionCatalog& catalog_;
  std::mutex mutex_;
  std::map<Key, std::vector<std::function<void(absl::Status)>>> changing_;
};

}  // namespace penstock::broker
