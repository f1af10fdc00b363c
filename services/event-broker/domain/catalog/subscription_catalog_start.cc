// Where a new subscription begins: its start in the log, or where another one ended.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {
namespace {

// OUT_OF_RANGE about one field.
absl::Status OutOfRangeField(std::string_view field, const std::string& description) {
  const absl::Status about = FieldError(field, description);
  absl::Status status(absl::StatusCode::kOutOfRange, about.message());
  about.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { status.SetPayload(url, payload); });
  return status;
}

absl::Status CheckSequence(Sequence sequence, Sequence horizon, Sequence head) {
  if (sequence > head) {
    return OutOfRangeField("start.sequence",
                           fmt::format("{} is above the newest event, {}", sequence, head));
  }
  if (sequence < horizon) {
    return OutOfRangeField("start.sequence",
                           fmt::format("{} is below the oldest event kept, {}", sequence, horizon));
  }
  return absl::OkStatus();
}

}  // namespace

// Pins the log from `sequence` on, or from the oldest event that is still there by then.
absl::Status SubscriptionCatalog::StartAt(Mutation& mutation, Sequence sequence) const {
  StartPosition& start = mutation.after.start;
  mutation.pin = log_.Pin(sequence);
  // Retention cannot pass it any more.
  const Sequence horizon = log_.horizon();
  if (start.kind == StartPosition::Kind::kSequence) {
    RETURN_IF_ERROR(CheckSequence(sequence, horizon, log_.head()));
  }
  start.resolved = std::max(sequence, horizon);
  return absl::OkStatus();
}

void SubscriptionCatalog::ResolveStart(const MutationPtr& mutation,
                                       std::function<void(absl::Status)> done) {
  const StartPosition& start = mutation->after.start;
  switch (start.kind) {
    case StartPosition::Kind::kNow: return done(absl::OkStatus());
    case StartPosition::Kind::kEarliest: return done(StartAt(*mutation, log_.horizon()));
    case StartPosition::Kind::kSequence: {
      const absl::Status status = CheckSequence(start.sequence, log_.horizon(), log_.head());
      return done(status.ok() ? StartAt(*mutation, start.sequence) : status);
    }
    case StartPosition::Kind::kTime: return ResolveStartTime(mutation, std::move(done));
  }
}

void SubscriptionCatalog::ResolveStartTime(const MutationPtr& mutation,
                                           std::function<void(absl::Status)> done) {
  const WallTime time = mutation->after.start.time;
  if (time > clock_.Wall()) {
    return done(FieldError("start.time", fmt::format("{} is in the future", FormatRfc3339(time))));
  }
  // Shared, because a refused job is dropped and `done` must still run.
  const auto shared = std::make_shared<std::function<void(absl::Status)>>(std::move(done));
  const bool queued = run_blocking_([this, mutation, shared, time] {
    const absl::StatusOr<Sequence> first = log_.FirstAtOrAfter(time);
    (*shared)(first.ok() ? StartAt(*mutation, *first) : first.status());
  });
  if (!queued) {
    (*shared)(absl::ResourceExhaustedError("too many reads of the log are waiting; try again"));
  }
}

// Notes the lowest sequence from which the new one may go on.
absl::Status SubscriptionCatalog::CheckAdoption(Mutation& mutation) const {
  const std::string& uid = mutation.adopt_uid;
  Subscription& after = mutation.after;
  if (uid.empty()) return absl::OkStatus();
  if (after.http) return FieldError("adoptUid", "must not be set together with http");
  if (after.start.kind != StartPosition::Kind::kNow) {
    return FieldError("start", "must not be set together with adoptUid");
  }
  const std::lock_guard lock(mutex_);
  const auto first = revisions_.lower_bound({uid, 0});
  if (first == revisions_.end() || first->first.first != uid) {
    return FieldError("adoptUid",
                      fmt::format("\"{}\" is not the uid of a subscription that is still known",
                                  uid.substr(0, 80)));
  }
  const Subscription& old = first->second->subscription;
  if (old.space != after.space || old.id != after.id) {
    return FieldError("adoptUid",
                      fmt::format("\"{}\" was {}, which has another name", uid, old.Name()));
  }
  const StoredRevision& last = *std::prev(revisions_.lower_bound({uid, INT64_MAX}))->second;
  if (!last.deleted || last.subscription.effective_sequence == kNoSequence) {
    return FieldError("adoptUid", fmt::format("\"{}\" is not deleted", uid));
  }
  if (last.subscription.http) {
    return FieldError("adoptUid", fmt::format("\"{}\" answered a path: it has no position", uid));
  }
  after.start.resolved = old.MatchesFrom();
  return absl::OkStatus();
}

void SubscriptionCatalog::AskForStarted() {
  std::vector<std::string> uids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, pin] : starting_) uids.push_back(uid);
  }
  if (delivery_ == nullptr) return;
  for (const std::string& uid : uids) {
    delivery_->GetProgress(uid, [this, uid](const std::optional<SubscriptionProgress>& progress) {
      if (progress || !FindByUid(uid)) Started(uid);
    });
  }
}

// Delivery knows the subscription, or never will: it has what it needs.
void SubscriptionCatalog::Started(const std::string& uid) {
  std::unique_ptr<LogPin> pin;  // Let go without the lock.
  const std::lock_guard lock(mutex_);
  if (const auto at = starting_.find(uid); at != starting_.end()) {
    pin = std::move(at->second);
    starting_.erase(at);
  }
  const auto first = revisions_.find({uid, 1});
  if (first == revisions_.end() || first->second->adopted == nullptr) return;
  StoredRevision lighter = *first->second;
  lighter.adopted = nullptr;
  first->second = std::make_shared<const StoredRevision>(std::move(lighter));
}

}  // namespace penstock::broker
