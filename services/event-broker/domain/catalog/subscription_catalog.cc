#include "services/event-broker/domain/catalog/subscription_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

absl::Status NotFound(const std::string& space, const std::string& id) {
  return absl::NotFoundError(
      fmt::format("subscription \"spaces/{}/subscriptions/{}\" not found", space, id));
}

absl::Status CheckEtag(const Subscription& current, const std::string& etag) {
  if (etag.empty() || etag == current.Etag()) return absl::OkStatus();
  return WithReason(
      absl::AbortedError(fmt::format(
          "etag: \"{}\" is not current: {} has been changed; read it again (current: \"{}\")", etag,
          current.Name(), current.Etag())),
      "ETAG_MISMATCH");
}

bool MatchesAlike(const Subscription& a, const Subscription& b) {
  return a.event_type == b.event_type && a.filters == b.filters;
}

}  // namespace

std::optional<ControlRecord> ControlRecord::Parse(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos || slash + 1 == text.size()) return std::nullopt;
  ControlRecord record;
  record.uid = std::string(text.substr(0, slash));
  for (const char c : text.substr(slash + 1)) {
    if (c < '0' || c > '9' || record.match_revision > 1'000'000'000) return std::nullopt;
    record.match_revision = record.match_revision * 10 + (c - '0');
  }
  return record;
}

SubscriptionCatalog::SubscriptionCatalog(EventLog& log, StateStore& store,
                                         FunctionReferences& references, const Clock& clock)
    : log_(log), store_(store), references_(references), clock_(clock) {}

void SubscriptionCatalog::Load(std::vector<StoredRevision> revisions) {
  const std::lock_guard lock(mutex_);
  for (StoredRevision& stored : revisions) {
    const Subscription& subscription = stored.subscription;
    const Key key{subscription.space, subscription.id};
    if (stored.deleted) {
      by_uid_.erase(subscription.uid);
      const auto at = live_.find(key);
      if (at != live_.end() && at->second.uid == subscription.uid) live_.erase(at);
    } else {
      live_[key] = subscription;
      by_uid_[subscription.uid] = key;
    }
    const std::pair id{subscription.uid, subscription.match_revision};
    revisions_[id] = std::make_shared<const StoredRevision>(std::move(stored));
  }
  // Every revision announced before was the sequence of a control record, so the head is not below
  // it.
  revision_ = static_cast<std::int64_t>(log_.head());
  routes_ = ComputeRoutes();
}

void SubscriptionCatalog::CompletePending() {
  std::vector<ControlRecord> pending;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, stored] : revisions_) {
      if (stored->subscription.effective_sequence == kNoSequence)
        pending.push_back({id.first, id.second});
    }
  }
  for (const ControlRecord& control : pending) ReappendControl(control);
}

void SubscriptionCatalog::ReappendControl(const ControlRecord& control) {
  const auto stored = FindRevision(control.uid, control.match_revision);
  if (stored == nullptr) return;
  auto mutation = std::make_shared<Mutation>();
  mutation->before = stored->subscription;
  mutation->after = stored->subscription;
  mutation->deletes = stored->deleted;
  mutation->rematches = true;
  mutation->done = [](const absl::StatusOr<Changed>&) {};
  AppendControl(std::move(mutation));
}

std::vector<FunctionReferences::Reference> SubscriptionCatalog::References() const {
  const std::lock_guard lock(mutex_);
  std::vector<FunctionReferences::Reference> references;
  for (const auto& [key, subscription] : live_) {
    references.push_back({subscription.FunctionName(), subscription.Name()});
  }
  return references;
}

void SubscriptionCatalog::Create(Subscription subscription, bool validate_only, Done done) {
  if (const absl::Status status = CheckAndNormalize(subscription); !status.ok()) {
    return done(status);
  }
  subscription.uid = NewUuid().substr(0, 8) + RandomHex(4);
  subscription.revision = 1;
  subscription.match_revision = 1;
  subscription.create_time = clock_.Wall();
  subscription.update_time = subscription.create_time;
  subscription.state = SubscriptionState::kPending;
  auto mutation = std::make_shared<Mutation>();
  mutation->after = std::move(subscription);
  mutation->rematches = true;
  mutation->done = std::move(done);
  if (const absl::Status status = Reserve(*mutation); !status.ok()) return mutation->done(status);
  if (validate_only) {
    const std::lock_guard lock(mutex_);
    busy_.erase({mutation->after.space, mutation->after.id});
  }
  if (validate_only) return mutation->done(Changed{mutation->after, revision()});
  Run(std::move(mutation));
}

absl::Status SubscriptionCatalog::CheckRouteIsFree(const Subscription& subscription) const {
  if (!subscription.http) return absl::OkStatus();
  const std::string wanted = RouteKey(*subscription.http);
  for (const auto& [key, other] : live_) {
    if (other.uid == subscription.uid || !other.http || RouteKey(*other.http) != wanted) continue;
    return FieldError("http.path",
                      fmt::format("{} {} is already answered by {}", subscription.http->method,
                                  subscription.http->path, other.Name()));
  }
  if (reserved_routes_.contains(wanted)) {
    return absl::AbortedError(fmt::format("http.path: {} {} is being taken by another request",
                                          subscription.http->method, subscription.http->path));
  }
  return absl::OkStatus();
}

absl::Status SubscriptionCatalog::Reserve(const Mutation& mutation) {
  const std::lock_guard lock(mutex_);
  const Key key{mutation.after.space, mutation.after.id};
  if (busy_.contains(key)) {
    return absl::AbortedError(
        fmt::format("{} is being changed by another request; try again", mutation.after.Name()));
  }
  if (mutation.before.uid.empty() && live_.contains(key)) {
    return absl::AlreadyExistsError(
        fmt::format("subscription \"{}\" already exists", mutation.after.Name()));
  }
  if (!mutation.deletes) RETURN_IF_ERROR(CheckRouteIsFree(mutation.after));
  busy_.insert(key);
  return absl::OkStatus();
}

void SubscriptionCatalog::Update(UpdateRequest request, Done done) {
  auto mutation = std::make_shared<Mutation>();
  mutation->done = std::move(done);
  {
    const std::lock_guard lock(mutex_);
    const auto at = live_.find({request.space, request.id});
    if (at != live_.end()) mutation->before = at->second;
  }
  const Subscription& before = mutation->before;
  if (before.uid.empty()) return mutation->done(NotFound(request.space, request.id));
  if (const absl::Status status = CheckEtag(before, request.etag); !status.ok()) {
    return mutation->done(status);
  }
  Subscription& after = mutation->after;
  after = before;
  absl::Status status = request.edit(after);
  if (status.ok()) status = CheckAndNormalize(after);
  if (status.ok() && after.http.has_value() != before.http.has_value()) {
    status = FieldError("http",
                        "cannot be added to or taken from an existing subscription: delete it "
                        "and create it anew");
  }
  if (!status.ok()) return mutation->done(status);
  after.revision = before.revision + 1;
  after.update_time = clock_.Wall();
  if (!MatchesAlike(before, after)) {
    mutation->rematches = true;
    after.match_revision = after.revision;
    after.effective_sequence = kNoSequence;
  }
  if (request.validate_only) return mutation->done(Changed{after, revision()});
  if (status = Reserve(*mutation); !status.ok()) return mutation->done(status);
  Run(std::move(mutation));
}

void SubscriptionCatalog::Delete(DeleteRequest request, Done done) {
  auto mutation = std::make_shared<Mutation>();
  mutation->deletes = true;
  mutation->rematches = true;
  mutation->done = std::move(done);
  {
    const std::lock_guard lock(mutex_);
    const auto at = live_.find({request.space, request.id});
    if (at != live_.end()) mutation->before = at->second;
  }
  if (mutation->before.uid.empty()) return mutation->done(NotFound(request.space, request.id));
  if (const auto status = CheckEtag(mutation->before, request.etag); !status.ok()) {
    return mutation->done(status);
  }
  mutation->after = mutation->before;
  mutation->after.revision = mutation->before.revision + 1;
  mutation->after.match_revision = mutation->after.revision;
  mutation->after.effective_sequence = kNoSequence;
  delivery_->GetProgress(mutation->before.uid, [this, mutation, force = request.force](
                                                   std::optional<SubscriptionProgress> progress) {
    const std::size_t pending =
        progress ? progress->in_flight + progress->retrying + progress->waiting : 0;
    if (pending > 0 && !force) {
      return mutation->done(WithReason(
          absl::FailedPreconditionError(fmt::format(
              "{} has {} pending deliveries that would be dropped; delete with force=true, or "
              "wait until they are done",
              mutation->before.Name(), pending)),
          "PENDING_DELIVERIES", {{"pending", std::to_string(pending)}}));
    }
    if (const auto status = Reserve(*mutation); !status.ok()) return mutation->done(status);
    Save(mutation);
  });
}

void SubscriptionCatalog::Run(MutationPtr mutation) {
  if (mutation->after.http) {
    const std::lock_guard lock(mutex_);
    reserved_routes_.insert(RouteKey(*mutation->after.http));
  }
  if (mutation->before.uid.empty() || mutation->before.function != mutation->after.function) {
    AcquireFunction(std::move(mutation));
  } else {
    Save(std::move(mutation));
  }
}

void SubscriptionCatalog::AcquireFunction(MutationPtr mutation) {
  references_.Acquire({mutation->after.FunctionName(), mutation->after.Name()},
                      [this, mutation](const absl::StatusOr<std::int64_t>& revision) {
                        if (absl::IsNotFound(revision.status())) {
                          return Fail(
                              mutation,
                              FieldError("function", fmt::format("\"{}\" does not exist",
                                                                 mutation->after.FunctionName())),
                              false);
                        }
                        if (!revision.ok()) return Fail(mutation, revision.status(), false);
                        mutation->acquired = true;
                        mutation->after.function_revision = *revision;
                        Save(mutation);
                      });
}

void SubscriptionCatalog::Save(MutationPtr mutation) {
  const auto saved = [this, mutation](const absl::Status& status) {
    if (!status.ok()) return Fail(mutation, status, false);
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
  const absl::Status queued =
      log_.Append(std::move(requests), [this, mutation](std::vector<AppendResult> results) {
        const AppendResult& result = results.front();
        if (result.verdict == AppendVerdict::kFailed) return Fail(mutation, result.status, true);
        Activate(mutation, result.sequence);
      });
  if (!queued.ok()) Fail(mutation, queued, true);
}

void SubscriptionCatalog::Activate(MutationPtr mutation, Sequence sequence) {
  if (!mutation->rematches) return Finish(std::move(mutation), sequence);
  store_.ActivateRevision(mutation->after.uid, mutation->after.match_revision, sequence,
                          [this, mutation, sequence](const absl::Status& status) {
                            if (!status.ok()) return Fail(mutation, status, true);
                            Finish(mutation, sequence);
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
    busy_.erase(key);
    if (after.http) reserved_routes_.erase(RouteKey(*after.http));
    NotifyRoutes(sequence);
  }
  const bool replaced =
      !mutation->before.uid.empty() && mutation->before.function != after.function;
  if (mutation->deletes || replaced) {
    references_.Release({mutation->before.FunctionName(), mutation->before.Name()},
                        [](const absl::Status&) {});
  }
  if (!mutation->deletes && delivery_ != nullptr) {
    delivery_->Change(std::make_shared<const Subscription>(after));
  }
  mutation->done(Changed{after, static_cast<std::int64_t>(sequence)});
}

// `saved`: the store has the pending revision, so a later start completes it unless it can be
// dropped.
void SubscriptionCatalog::Fail(MutationPtr mutation, const absl::Status& status, bool saved) {
  if (saved && mutation->rematches) {
    store_.DropRevision(mutation->after.uid, mutation->after.match_revision,
                        [](const absl::Status&) {});
  }
  {
    const std::lock_guard lock(mutex_);
    if (mutation->rematches)
      revisions_.erase({mutation->after.uid, mutation->after.match_revision});
    busy_.erase({mutation->after.space, mutation->after.id});
    if (mutation->after.http) reserved_routes_.erase(RouteKey(*mutation->after.http));
  }
  if (mutation->acquired) {
    references_.Release({mutation->after.FunctionName(), mutation->after.Name()},
                        [](const absl::Status&) {});
  }
  mutation->done(status);
}

}  // namespace penstock::broker
