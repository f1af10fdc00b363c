#include "services/event-broker/domain/catalog/invocation_lanes.h"

#include <memory>
#include <optional>

#include "libs/base/ids.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kIdMax = 63;
constexpr std::size_t kHashDigits = 16;
// Another change of the same subscription, a pause for instance, may be on its way.
constexpr int kTriesMax = 3;

Subscription MakeSubscription(const InvocationLanes::Lane& lane, const std::string& id) {
  Subscription subscription;
  subscription.space = lane.space;
  subscription.id = id;
  subscription.function = lane.function;
  subscription.retry = lane.retry;
  Filter filter;
  filter.kind = Filter::Kind::kExact;
  filter.attributes = {{"subject", lane.function}};
  subscription.filters.push_back(std::move(filter));
  subscription.event_type =
      lane.purpose == LanePurpose::kCalls ? kInvocationRequested : kInvocationCompleted;
  return subscription;
}

}  // namespace

std::string InvocationLaneId(LanePurpose purpose, std::string_view function) {
  std::string id(purpose == LanePurpose::kCallbacks ? kCallbacksIdPrefix : kCallsIdPrefix);
  if (id.size() + function.size() <= kIdMax) return id.append(function);
  const std::string hash = Sha256Hex(function).substr(0, kHashDigits);
  return id.append(function.substr(0, kIdMax - id.size() - kHashDigits - 1))
      .append("-")
      .append(hash);
}

// One after the other: nearly always all are there.
void InvocationLanes::Ensure(std::vector<Lane> lanes, Done done) {
  if (lanes.empty()) return done(absl::OkStatus());
  const Lane lane = std::move(lanes.back());
  lanes.pop_back();
  EnsureOne(lane, 1,
            [this, lanes = std::move(lanes), done = std::move(done)](absl::Status status) mutable {
              if (!status.ok()) return done(std::move(status));
              Ensure(std::move(lanes), std::move(done));
            });
}

void InvocationLanes::EnsureOne(const Lane& lane, int tries, Done done) {
  const std::string id = InvocationLaneId(lane.purpose, lane.function);
  const auto current = catalog_.Get(lane.space, id);
  if (current.ok() && current->retry == lane.retry) return done(absl::OkStatus());
  // Whoever comes meanwhile waits for the change, and looks again.
  const Done again = [this, lane, tries, done](absl::Status status) {
    const bool raced = absl::IsAborted(status) || absl::IsAlreadyExists(status);
    if (!status.ok() && !raced) return done(std::move(status));
    if (tries >= kTriesMax) {
      return done(absl::UnavailableError("the function's policy is being changed; try again"));
    }
    EnsureOne(lane, tries + 1, done);
  };
  {
    const std::lock_guard lock(mutex_);
    auto& waiting = changing_[{lane.space, id}];
    waiting.push_back(again);
    if (waiting.size() > 1) return;
  }
  Change(lane, id,
         [this, key = Key(lane.space, id)](const absl::Status& status) { Finish(key, status); });
}

void InvocationLanes::Change(const Lane& lane, const std::string& id, Done done) {
  const auto changed =
      [done = std::move(done)](const absl::StatusOr<SubscriptionCatalog::Changed>& result) {
        done(result.status());
      };
  if (!catalog_.Get(lane.space, id).ok()) {
    return catalog_.Create({MakeSubscription(lane, id), false, ""}, changed);
  }
  catalog_.Update({lane.space, id, "", false,
                   [retry = lane.retry](Subscription& subscription) {
                     subscription.retry = retry;
                     return absl::OkStatus();
                   }},
                  changed);
}

void InvocationLanes::Finish(const Key& key, const absl::Status& status) {
  std::vector<std::function<void(absl::Status)>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(changing_[key]);
    changing_.erase(key);
  }
  for (const auto& one : waiting) one(status);
}

}  // namespace penstock::broker
