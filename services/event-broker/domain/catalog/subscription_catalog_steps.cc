// The steps of a mutation, from the hold of its function to the answer, and the ways back.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

void SubscriptionCatalog::Run(MutationPtr mutation) {
  if (mutation->before.uid.empty() || mutation->before.function != mutation->after.function) {
    AcquireFunction(std::move(mutation));
  } else {
    Save(std::move(mutation));
  }
}

void SubscriptionCatalog::AcquireFunction(MutationPtr mutation) {
  const std::pair hold{mutation->after.FunctionName(), mutation->after.Name()};
  {
    const std::lock_guard lock(mutex_);
    acquiring_.insert(hold);
    mutation->acquires = true;
    ++reference_counts_.changes;
  }
  references_.Acquire({hold.first, hold.second}, [this, mutation](
                                                     const absl::StatusOr<std::int64_t>& revision) {
    if (absl::IsNotFound(revision.status())) {
      return Fail(mutation, FieldError("function", fmt::format("\"{}\" does not exist",
                                                               mutation->after.FunctionName())));
    }
    if (!revision.ok()) {
      // Perhaps it is held now: the next reconciliation decides.
      const std::lock_guard lock(mutex_);
      ++reference_counts_.doubts;
    }
    if (!revision.ok()) return Fail(mutation, revision.status());
    mutation->holds = true;
    mutation->after.function_revision = *revision;
    Save(mutation);
  });
}

void SubscriptionCatalog::Save(MutationPtr mutation) {
  const auto saved = [this, mutation](const absl::Status& status) {
    if (!status.ok()) return Fail(mutation, status);
    if (mutation->rematches) {
      const std::lock_guard lock(mutex_);
      revisions_[{mutation->after.uid, mutation->after.match_revision}] =
          std::make_shared<const StoredRevision>(
              StoredRevision{mutation->after, mutation->deletes});
    }
    AppendControl(mutation);
  };
  if (mutation->rematches) {
    store_.SaveRevision({mutation->after, mutation->deletes}, saved);
  } else {
    store_.UpdateInPlace(mutation->after, saved);
  }
}

void SubscriptionCatalog::AppendControl(MutationPtr mutation) {
  AppendRequest request;
  request.kind = RecordKind::kControl;
  request.space = mutation->after.space;
  request.body =
      SharedBytes(ControlRecord{mutation->after.uid, mutation->after.match_revision}.Serialize());
  std::vector<AppendRequest> requests;
  requests.push_back(std::move(request));
  const auto failed = [this, mutation](const absl::Status& status) {
    if (mutation->resumed) return Park([this, mutation] { AppendControl(mutation); });
    Undo(mutation, status);
  };
  const absl::Status queued = log_.Append(
      std::move(requests), [this, mutation, failed](const std::vector<AppendResult>& results) {
        const AppendResult& result = results.front();
        if (result.verdict == AppendVerdict::kFailed) return failed(result.status);
        Activate(mutation, result.sequence);
      });
  if (!queued.ok()) failed(queued);
}

// Changes that need no activation go through the store too: so all mutations finish in the order of
// their sequences, and whoever has seen one of them has seen all before it.
void SubscriptionCatalog::Activate(MutationPtr mutation, Sequence sequence) {
  store_.ActivateRevision(
      mutation->after.uid, mutation->after.match_revision, sequence,
      [this, mutation, sequence](const absl::Status& status) {
        if (status.ok()) return Finish(mutation, sequence);
        // The control record is in the log, so there is no way back: delivery goes by it.
        std::exchange(mutation->done,
                      [](const absl::StatusOr<Changed>&) {})(absl::UnavailableError(fmt::format(
            "the change takes effect at sequence {}, but that could not be stored and is tried "
            "again: {}",
            sequence, std::string(status.message()))));
        Park([this, mutation, sequence] { Activate(mutation, sequence); });
      });
}

void SubscriptionCatalog::Finish(MutationPtr mutation, Sequence sequence) {
  Subscription& after = mutation->after;
  if (mutation->rematches) after.effective_sequence = sequence;
  if (after.state == SubscriptionState::kPending) after.state = SubscriptionState::kActive;
  {
    const std::lock_guard lock(mutex_);
    const Key key{after.space, after.id};
    revisions_[{after.uid, after.match_revision}] =
        std::make_shared<const StoredRevision>(StoredRevision{after, mutation->deletes});
    if (mutation->deletes) {
      live_.erase(key);
      by_uid_.erase(after.uid);
    } else {
      live_[key] = after;
      by_uid_[after.uid] = key;
    }
    NotifyRoutes(sequence);
  }
  if (!mutation->deletes && delivery_ != nullptr) {
    delivery_->Change(std::make_shared<const Subscription>(after));
  }
  const bool replaced =
      !mutation->before.uid.empty() && mutation->before.function != after.function;
  if (!mutation->deletes && !replaced) return End(mutation, sequence);
  // The name stays reserved meanwhile: the release must not meet a new hold under the same name.
  Release(mutation->before, [this, mutation, sequence] { End(mutation, sequence); });
}

void SubscriptionCatalog::End(const MutationPtr& mutation, Sequence sequence) {
  const Subscription& after = mutation->after;
  {
    const std::lock_guard lock(mutex_);
    busy_.erase({after.space, after.id});
    if (after.http) reserved_routes_.erase(RouteKey(*after.http));
    if (mutation->acquires) {
      acquiring_.erase(acquiring_.find({after.FunctionName(), after.Name()}));
    }
  }
  mutation->done(Changed{after, static_cast<std::int64_t>(sequence)});
}

void SubscriptionCatalog::Release(const Subscription& subscription, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    ++reference_counts_.changes;
    ++reference_counts_.in_flight;
  }
  references_.Release({subscription.FunctionName(), subscription.Name()},
                      [this, done = std::move(done)](const absl::Status& status) {
                        {
                          const std::lock_guard lock(mutex_);
                          ++reference_counts_.changes;
                          --reference_counts_.in_flight;
                          if (!status.ok()) ++reference_counts_.doubts;
                        }
                        done();
                      });
}

// Takes a stored change back, whose control record is not in the log. Until that is durable the
// name stays reserved: a later start would complete the change.
void SubscriptionCatalog::Undo(const MutationPtr& mutation, const absl::Status& status) {
  const auto undone = [this, mutation, status](const absl::Status& result) {
    if (result.ok()) return Fail(mutation, status);
    std::exchange(mutation->done, [](const absl::StatusOr<Changed>&) {})(status);
    Park([this, mutation, status] { Undo(mutation, status); });
  };
  if (!mutation->rematches) return store_.UpdateInPlace(mutation->before, undone);
  {
    const std::lock_guard lock(mutex_);
    revisions_.erase({mutation->after.uid, mutation->after.match_revision});
  }
  store_.DropRevision(mutation->after.uid, mutation->after.match_revision, undone);
}

// Ends a mutation that left nothing behind but, perhaps, its hold of the function.
void SubscriptionCatalog::Fail(const MutationPtr& mutation, const absl::Status& status) {
  const auto end = [this, mutation, status] {
    const Subscription& after = mutation->after;
    {
      const std::lock_guard lock(mutex_);
      busy_.erase({after.space, after.id});
      if (after.http && !mutation->deletes) reserved_routes_.erase(RouteKey(*after.http));
      if (mutation->acquires) {
        acquiring_.erase(acquiring_.find({after.FunctionName(), after.Name()}));
      }
    }
    mutation->done(status);
  };
  if (mutation->holds) return Release(mutation->after, end);
  end();
}

void SubscriptionCatalog::Park(std::function<void()> again) {
  const std::lock_guard lock(mutex_);
  parked_.push_back(std::move(again));
}

void SubscriptionCatalog::Maintain() {
  std::vector<std::function<void()>> parked;
  Sequence pruned_to = kNoSequence;
  {
    const std::lock_guard lock(mutex_);
    parked.swap(parked_);
    pruned_to = pruned_to_;
  }
  for (const auto& again : parked) again();
  const Sequence horizon = log_.horizon();
  if (horizon <= pruned_to) return;
  store_.PruneRevisions(horizon, [this, horizon](const absl::Status& status) {
    if (status.ok()) Forget(horizon);
  });
}

// The counterpart of the store's PruneRevisions.
void SubscriptionCatalog::Forget(Sequence horizon) {
  const std::lock_guard lock(mutex_);
  pruned_to_ = std::max(pruned_to_, horizon);
  for (auto at = revisions_.begin(); at != revisions_.end();) {
    const auto next = std::next(at);
    const Sequence effective = at->second->subscription.effective_sequence;
    const auto met = [&](Sequence sequence) {
      return sequence != kNoSequence && sequence <= horizon;
    };
    const bool superseded = next != revisions_.end() && next->first.first == at->first.first &&
                            met(next->second->subscription.effective_sequence);
    const bool over = at->second->deleted && met(effective);
    at = effective != kNoSequence && (superseded || over) ? revisions_.erase(at) : next;
  }
}

}  // namespace penstock::broker
