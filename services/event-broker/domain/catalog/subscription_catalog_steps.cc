// The steps of a mutation, from the hold of its function to the answer, and the ways back.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {
namespace {

// How often a creation asks for what it is to adopt; a second or so each time.
constexpr int kAdoptTriesMax = 8;

// The field of `subscription` that names the function.
std::string FieldNaming(const Subscription& subscription, const std::string& function) {
  if (subscription.group) {
    const std::vector<std::string>& members = subscription.group->functions;
    const auto at = std::find(members.begin(), members.end(), function);
    if (at != members.end()) return fmt::format("group.functions[{}]", at - members.begin());
  }
  return subscription.function == function ? "function" : "deadLetterSink.function";
}

}  // namespace

void SubscriptionCatalog::Run(MutationPtr mutation) {
  if (!mutation->acquires.empty()) {
    const std::lock_guard lock(mutex_);
    for (const std::string& function : mutation->acquires) {
      acquiring_.insert({mutation->after.FunctionName(function), mutation->after.Name()});
      ++reference_counts_.changes;
    }
  }
  AcquireNext(std::move(mutation));
}

// One function after the other; the first that cannot be held ends the mutation.
void SubscriptionCatalog::AcquireNext(MutationPtr mutation) {
  if (mutation->held == mutation->acquires.size()) {
    return mutation->drains ? AppendControl(std::move(mutation)) : Save(std::move(mutation));
  }
  const std::string& function = mutation->acquires[mutation->held];
  const std::string name = mutation->after.FunctionName(function);
  references_.Acquire(
      {name, mutation->after.Name()},
      [this, mutation, name, function](const absl::StatusOr<std::int64_t>& revision) {
        if (absl::IsNotFound(revision.status())) {
          return Fail(mutation, FieldError(FieldNaming(mutation->after, function),
                                           fmt::format("\"{}\" does not exist", name)));
        }
        if (!revision.ok()) {
          // Perhaps it is held now: the next reconciliation decides.
          const std::lock_guard lock(mutex_);
          ++reference_counts_.doubts;
        }
        if (!revision.ok()) return Fail(mutation, revision.status());
        ++mutation->held;
        std::int64_t& known = mutation->after.function_revision;
        known = std::max(known, *revision);
        AcquireNext(mutation);
      });
}

void SubscriptionCatalog::Save(MutationPtr mutation) {
  if (!mutation->adopt_uid.empty()) return SaveAdopting(std::move(mutation));
  const auto saved = [this, mutation](const absl::Status& status) {
    status.ok() ? Saved(mutation) : Fail(mutation, status);
  };
  if (mutation->rematches) {
    store_.SaveRevision({mutation->after, mutation->deletes, nullptr}, saved);
  } else {
    store_.UpdateInPlace(mutation->after, saved);
  }
}

void SubscriptionCatalog::SaveAdopting(MutationPtr mutation) {
  store_.SaveAdopting(
      mutation->adopt_uid, {mutation->after, false, nullptr},
      [this, mutation](const absl::StatusOr<StoredRevision>& stored) {
        if (absl::IsNotFound(stored.status())) {
          // Delivery lets go a moment after the deletion.
          if (++mutation->adopt_tries < kAdoptTriesMax) {
            return Park([this, mutation] { SaveAdopting(mutation); });
          }
          return Fail(mutation, WithRetryAfter(absl::UnavailableError(fmt::format(
                                                   "adoptUid: delivery has not let \"{}\" go yet",
                                                   mutation->adopt_uid)),
                                               absl::Seconds(1)));
        }
        if (!stored.ok()) return Fail(mutation, stored.status());
        mutation->after = stored->subscription;
        mutation->adopted = stored->adopted;
        mutation->pin = log_.Pin(mutation->after.start.resolved);
        Saved(mutation);
      });
}

// Stored as pending: delivery finds it when it comes to the control record.
void SubscriptionCatalog::Saved(const MutationPtr& mutation) {
  if (mutation->rematches) {
    const std::lock_guard lock(mutex_);
    revisions_[{mutation->after.uid, mutation->after.match_revision}] =
        std::make_shared<const StoredRevision>(
            StoredRevision{mutation->after, mutation->deletes, mutation->adopted});
  }
  AppendControl(mutation);
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
    if (mutation->drains) return Fail(mutation, status);  // Nothing is stored yet.
    if (mutation->resumed) return Park([this, mutation] { AppendControl(mutation); });
    Undo(mutation, status);
  };
  const absl::Status queued = log_.Append(
      std::move(requests), [this, mutation, failed](const std::vector<AppendResult>& results) {
        const AppendResult& result = results.front();
        if (result.verdict == AppendVerdict::kFailed) return failed(result.status);
        if (mutation->drains) return SaveDrain(mutation, result.sequence);
        Activate(mutation, result.sequence);
      });
  if (!queued.ok()) failed(queued);
}

// The control record changes nothing by itself: a crash before this is stored leaves the
// subscription as it was.
void SubscriptionCatalog::SaveDrain(const MutationPtr& mutation, Sequence sequence) {
  mutation->after.drain_to = sequence;
  store_.UpdateInPlace(mutation->after, [this, mutation, sequence](const absl::Status& status) {
    status.ok() ? Finish(mutation, sequence) : Fail(mutation, status);
  });
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
  if (after.start.resolved == kNoSequence && !after.http) after.start.resolved = sequence;
  {
    const std::lock_guard lock(mutex_);
    const Key key{after.space, after.id};
    auto& stored = revisions_[{after.uid, after.match_revision}];
    // What was adopted stays until delivery knows the subscription.
    auto adopted = stored == nullptr ? nullptr : stored->adopted;
    stored = std::make_shared<const StoredRevision>(
        StoredRevision{after, mutation->deletes, std::move(adopted)});
    if (mutation->pin != nullptr) starting_[after.uid] = std::move(mutation->pin);
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
  std::vector<std::string> released;
  if (!mutation->before.uid.empty()) {
    const std::vector<std::string> had = mutation->before.FunctionsHeld();
    const std::vector<std::string> has =
        mutation->deletes ? std::vector<std::string>() : after.FunctionsHeld();
    std::set_difference(had.begin(), had.end(), has.begin(), has.end(),
                        std::back_inserter(released));
  }
  // The name stays reserved meanwhile: the release must not meet a new hold under the same name.
  Release(std::move(released), mutation->before,
          [this, mutation, sequence] { End(mutation, sequence); });
}

void SubscriptionCatalog::End(const MutationPtr& mutation, Sequence sequence) {
  Free(*mutation);
  mutation->done(Changed{mutation->after, static_cast<std::int64_t>(sequence), mutation->dropped});
}

// Gives back what Reserve and Run took for the mutation alone.
void SubscriptionCatalog::Free(const Mutation& mutation) {
  const Subscription& after = mutation.after;
  const std::lock_guard lock(mutex_);
  busy_.erase({after.space, after.id});
  if (after.http && !mutation.deletes) reserved_routes_.erase(RouteKey(*after.http));
  for (const std::string& function : mutation.acquires) {
    acquiring_.erase(acquiring_.find({after.FunctionName(function), after.Name()}));
  }
}

// One after the other, the last one first.
void SubscriptionCatalog::Release(std::vector<std::string> functions, const Subscription& holder,
                                  std::function<void()> done) {
  if (functions.empty()) return done();
  const std::string function = std::move(functions.back());
  functions.pop_back();
  {
    const std::lock_guard lock(mutex_);
    ++reference_counts_.changes;
    ++reference_counts_.in_flight;
  }
  references_.Release({holder.FunctionName(function), holder.Name()},
                      [this, functions = std::move(functions), holder,
                       done = std::move(done)](const absl::Status& status) mutable {
                        {
                          const std::lock_guard lock(mutex_);
                          ++reference_counts_.changes;
                          --reference_counts_.in_flight;
                          if (!status.ok()) ++reference_counts_.doubts;
                        }
                        Release(std::move(functions), holder, std::move(done));
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

// Ends a mutation that left nothing behind but, perhaps, holds of functions.
void SubscriptionCatalog::Fail(const MutationPtr& mutation, const absl::Status& status) {
  std::vector<std::string> held = mutation->acquires;
  held.resize(mutation->held);
  Release(std::move(held), mutation->after, [this, mutation, status] {
    Free(*mutation);
    mutation->pin.reset();
    mutation->done(status);
  });
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
  AskForStarted();
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
