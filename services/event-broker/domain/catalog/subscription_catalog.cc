#include "services/event-broker/domain/catalog/subscription_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
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

// What the matcher makes of an event: whether it is one, and its ordering key.
bool MatchesAlike(const Subscription& a, const Subscription& b) {
  const auto key = [](const Subscription& s) { return s.ordering ? s.ordering->by : ""; };
  return a.event_type == b.event_type && a.filters == b.filters && key(a) == key(b);
}

std::vector<std::string> Difference(const std::vector<std::string>& from,
                                    const std::vector<std::string>& without) {
  std::vector<std::string> rest;
  std::set_difference(from.begin(), from.end(), without.begin(), without.end(),
                      std::back_inserter(rest));
  return rest;
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
                                         FunctionReferences& references, const Clock& clock,
                                         RunBlocking run_blocking)
    : log_(log),
      store_(store),
      references_(references),
      clock_(clock),
      run_blocking_(std::move(run_blocking)) {}

void SubscriptionCatalog::Load(std::vector<StoredRevision> revisions) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::shared_ptr<const StoredRevision>> newest;  // By uid.
  for (StoredRevision& stored : revisions) {
    Subscription& subscription = stored.subscription;
    const std::pair id{subscription.uid, subscription.match_revision};
    if (id.second == 1 && subscription.start.resolved == kNoSequence && !subscription.http) {
      subscription.start.resolved = subscription.effective_sequence;
    }
    const auto shared = std::make_shared<const StoredRevision>(std::move(stored));
    revisions_[id] = shared;
    auto& known = newest[id.first];
    if (known == nullptr || known->subscription.match_revision < id.second) known = shared;
  }
  for (const auto& [uid, stored] : newest) {
    if (stored->deleted) continue;
    const Subscription& subscription = stored->subscription;
    const Key key{subscription.space, subscription.id};
    live_[key] = subscription;
    by_uid_[uid] = key;
    // Whether delivery had come to know it before the restart is not known here.
    const auto first = revisions_.find({uid, 1});
    if (subscription.start.kind != StartPosition::Kind::kNow ||
        (first != revisions_.end() && first->second->adopted != nullptr)) {
      starting_[uid] = log_.Pin(subscription.start.resolved);
    }
  }
  // Every revision announced before was the sequence of a control record, so the head is not below
  // it.
  revision_ = static_cast<std::int64_t>(log_.head());
  routes_ = ComputeRoutes();
}

void SubscriptionCatalog::CompletePending() {
  std::vector<MutationPtr> pending;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, stored] : revisions_) {
      if (stored->subscription.effective_sequence != kNoSequence) continue;
      auto mutation = std::make_shared<Mutation>();
      mutation->before = stored->subscription;
      mutation->after = stored->subscription;
      mutation->deletes = stored->deleted;
      mutation->rematches = true;
      mutation->resumed = true;
      mutation->done = [](const absl::StatusOr<Changed>&) {};
      busy_.insert({mutation->after.space, mutation->after.id});
      pending.push_back(std::move(mutation));
    }
  }
  for (MutationPtr& mutation : pending) AppendControl(std::move(mutation));
}

void SubscriptionCatalog::Create(CreateRequest request, Done done) {
  auto mutation = std::make_shared<Mutation>();
  Subscription& subscription = mutation->after;
  subscription = std::move(request.subscription);
  mutation->done = std::move(done);
  if (const auto status = CheckAndNormalize(subscription); !status.ok()) {
    return mutation->done(status);
  }
  subscription.uid = NewUuid().substr(0, 8) + RandomHex(4);
  subscription.revision = 1;
  subscription.match_revision = 1;
  subscription.create_time = clock_.Wall();
  subscription.update_time = subscription.create_time;
  subscription.state = SubscriptionState::kPending;
  subscription.start.resolved = kNoSequence;
  mutation->rematches = true;
  mutation->acquires = subscription.FunctionsHeld();
  mutation->adopt_uid = std::move(request.adopt_uid);
  absl::Status status = Check(*mutation);
  if (status.ok()) status = CheckAdoption(*mutation);
  if (!status.ok()) return mutation->done(status);
  const auto resolved = [this, mutation,
                         validate_only = request.validate_only](absl::Status result) {
    if (result.ok()) result = validate_only ? Check(*mutation) : Reserve(*mutation);
    if (!result.ok()) return mutation->done(result);
    if (validate_only) return mutation->done(Changed{mutation->after, revision()});
    Run(mutation);
  };
  ResolveStart(mutation, resolved);
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

// Whether the mutation could go ahead now. Under the lock.
absl::Status SubscriptionCatalog::CheckNow(const Mutation& mutation) const {
  const Key key{mutation.after.space, mutation.after.id};
  if (busy_.contains(key)) {
    return absl::AbortedError(
        fmt::format("{} is being changed by another request; try again", mutation.after.Name()));
  }
  const auto current = live_.find(key);
  if (mutation.before.uid.empty()) {
    if (current != live_.end()) {
      return absl::AlreadyExistsError(
          fmt::format("subscription \"{}\" already exists", mutation.after.Name()));
    }
  } else if (current == live_.end()) {
    return NotFound(key.first, key.second);
  } else if (current->second.uid != mutation.before.uid ||
             current->second.revision != mutation.before.revision) {
    return absl::AbortedError(fmt::format("{} was changed by another request meanwhile; try again",
                                          mutation.after.Name()));
  }
  return mutation.deletes ? absl::OkStatus() : CheckRouteIsFree(mutation.after);
}

absl::Status SubscriptionCatalog::Check(const Mutation& mutation) const {
  const std::lock_guard lock(mutex_);
  return CheckNow(mutation);
}

// From here to End or Fail, name and route belong to this mutation.
absl::Status SubscriptionCatalog::Reserve(const Mutation& mutation) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckNow(mutation));
  busy_.insert({mutation.after.space, mutation.after.id});
  if (mutation.after.http && !mutation.deletes) {
    reserved_routes_.insert(RouteKey(*mutation.after.http));
  }
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
  if (status.ok() && !after.start.AsksLike(before.start)) {
    status = FieldError("start", "can only be set when a subscription is created");
  }
  if (!status.ok()) return mutation->done(status);
  after.start = before.start;
  if (after.state == SubscriptionState::kActive) after.drain_to = kNoSequence;
  mutation->acquires = Difference(after.FunctionsHeld(), before.FunctionsHeld());
  mutation->drains =
      after.state == SubscriptionState::kDraining && before.state != SubscriptionState::kDraining;
  after.revision = before.revision + 1;
  after.update_time = clock_.Wall();
  if (!MatchesAlike(before, after)) {
    mutation->rematches = true;
    after.match_revision = after.revision;
    after.effective_sequence = kNoSequence;
  }
  status = request.validate_only ? Check(*mutation) : Reserve(*mutation);
  if (!status.ok()) return mutation->done(status);
  if (request.validate_only) return mutation->done(Changed{after, revision()});
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
    std::size_t pending = 0;
    if (progress) {
      // What a subscription that catches up has not come to is not counted yet, but it is there.
      pending = progress->in_flight + progress->retrying + progress->waiting + progress->held +
                (progress->catching_up ? 1 : 0);
    }
    mutation->dropped = static_cast<std::int64_t>(pending);
    if (pending > 0 && !force) {
      return mutation->done(WithReason(
          absl::FailedPreconditionError(fmt::format(
              "{} has {}{} pending deliveries that would be dropped; delete with force=true, or "
              "wait until they are done",
              mutation->before.Name(), progress->catching_up ? "at least " : "", pending)),
          "PENDING_DELIVERIES", {{"pending", std::to_string(pending)}}));
    }
    if (const auto status = Reserve(*mutation); !status.ok()) return mutation->done(status);
    Save(mutation);
  });
}

}  // namespace penstock::broker
