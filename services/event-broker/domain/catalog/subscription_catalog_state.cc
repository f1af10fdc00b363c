// Pause, resume and drain.
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

void SubscriptionCatalog::Steer(const std::string& space, const std::string& id,
                                SubscriptionState state, Done done) {
  UpdateRequest update{space, id, "", false, nullptr};
  update.edit = [state](Subscription& current) -> absl::Status {
    if (current.http) {
      return absl::FailedPreconditionError(
          "a subscription to a path answers at once: it cannot be paused, resumed or drained");
    }
    current.state = state;
    return absl::OkStatus();
  };
  Update(std::move(update), std::move(done));
}

void SubscriptionCatalog::Pause(const std::string& space, const std::string& id, Done done) {
  Steer(space, id, SubscriptionState::kPaused, std::move(done));
}

void SubscriptionCatalog::Resume(const std::string& space, const std::string& id, Done done) {
  Steer(space, id, SubscriptionState::kActive, std::move(done));
}

void SubscriptionCatalog::Drain(const std::string& space, const std::string& id, Done done) {
  // One that drains already ends where it was going to.
  if (const auto current = Get(space, id);
      current.ok() && current->state == SubscriptionState::kDraining) {
    return done(Changed{*current, revision()});
  }
  Steer(space, id, SubscriptionState::kDraining, std::move(done));
}

void SubscriptionCatalog::Drained(const std::string& uid, Sequence drain_to) {
  const auto over = [drain_to](const Subscription& current) {
    return current.state == SubscriptionState::kDraining && current.drain_to == drain_to;
  };
  const auto current = FindByUid(uid);
  if (!current || !over(*current)) return;
  UpdateRequest update{current->space, current->id, "", false, nullptr};
  update.edit = [over, uid](Subscription& edited) -> absl::Status {
    if (edited.uid != uid || !over(edited)) return absl::CancelledError("it drains no more");
    edited.state = SubscriptionState::kPaused;
    return absl::OkStatus();
  };
  Update(std::move(update), [this, uid, drain_to](const absl::StatusOr<Changed>& changed) {
    if (changed.ok() || absl::IsCancelled(changed.status())) return;
    Park([this, uid, drain_to] { Drained(uid, drain_to); });
  });
}

}  // namespace penstock::broker
