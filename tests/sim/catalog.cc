#include "tests/sim/catalog.h"

#include <algorithm>

namespace penstock::broker::sim {

void SimCatalog::Load(std::vector<StoredRevision> revisions) {
  for (StoredRevision& revision : revisions) {
    const Subscription& subscription = revision.subscription;
    if (subscription.effective_sequence != kNoSequence) {
      if (revision.deleted) {
        live_.erase(subscription.uid);
      } else {
        live_[subscription.uid] = subscription;
        oracle_.OnSettings(subscription);
      }
    }
    revisions_[{subscription.uid, subscription.match_revision}] = std::move(revision);
  }
}

void SimCatalog::Fill(DeliveryStart& start) const {
  for (const auto& [key, stored] : revisions_) {
    if (stored.subscription.effective_sequence == kNoSequence) continue;
    auto revision = std::make_shared<StoredRevision>(stored);
    if (flaw_ == Flaw::kNewestRevision) ReplaceByNewest(*revision);
    start.revisions.push_back(std::move(revision));
  }
  std::stable_sort(start.revisions.begin(), start.revisions.end(),
                   [](const auto& a, const auto& b) {
                     return a->subscription.effective_sequence < b->subscription.effective_sequence;
                   });
  for (const auto& [uid, subscription] : live_) start.live.push_back(subscription);
}

void SimCatalog::CompletePending() {
  for (const auto& [key, stored] : revisions_) {
    if (stored.subscription.effective_sequence != kNoSequence) continue;
    busy_.insert(key.first);
    AppendControl(stored);
  }
}

void SimCatalog::Save(Subscription subscription) {
  StoredRevision revision{std::move(subscription), false};
  revision.subscription.effective_sequence = kNoSequence;
  busy_.insert(revision.subscription.uid);
  oracle_.OnRevision(revision.subscription, false);
  store_.SaveRevision(revision, [this, revision](const absl::Status&) {
    revisions_[{revision.subscription.uid, revision.subscription.match_revision}] = revision;
    AppendControl(revision);
  });
}

void SimCatalog::Delete(const std::string& uid) {
  StoredRevision revision{live_.at(uid), true};
  ++revision.subscription.match_revision;
  revision.subscription.effective_sequence = kNoSequence;
  busy_.insert(uid);
  oracle_.OnRevision(revision.subscription, true);
  store_.SaveRevision(revision, [this, revision](const absl::Status&) {
    revisions_[{revision.subscription.uid, revision.subscription.match_revision}] = revision;
    AppendControl(revision);
  });
}

void SimCatalog::AppendControl(const StoredRevision& revision) {
  const Subscription& subscription = revision.subscription;
  AppendRequest request;
  request.kind = RecordKind::kControl;
  request.space = subscription.space;
  request.body =
      SharedBytes(ControlRecord{subscription.uid, subscription.match_revision}.Serialize());
  std::vector<AppendRequest> requests;
  requests.push_back(std::move(request));
  const absl::Status queued =
      log_.Append(std::move(requests), [this, revision](const std::vector<AppendResult>& results) {
        // Otherwise the disk has failed, and the broker with it.
        if (results.front().verdict == AppendVerdict::kFailed) return;
        Activate(revision, results.front().sequence);
      });
  static_cast<void>(queued);
}

void SimCatalog::Activate(StoredRevision revision, Sequence sequence) {
  const Subscription& subscription = revision.subscription;
  store_.ActivateRevision(subscription.uid, subscription.match_revision, sequence,
                          [this, revision, sequence](const absl::Status&) mutable {
                            Subscription& after = revision.subscription;
                            after.effective_sequence = sequence;
                            revisions_[{after.uid, after.match_revision}] = revision;
                            busy_.erase(after.uid);
                            if (revision.deleted) {
                              live_.erase(after.uid);
                              return;
                            }
                            live_[after.uid] = after;
                            oracle_.OnSettings(after);
                            change_(std::make_shared<const Subscription>(after));
                          });
}

void SimCatalog::UpdateInPlace(Subscription subscription) {
  busy_.insert(subscription.uid);
  store_.UpdateInPlace(subscription, [this, subscription](const absl::Status&) {
    busy_.erase(subscription.uid);
    live_[subscription.uid] = subscription;
    StoredRevision& stored = revisions_.at({subscription.uid, subscription.match_revision});
    stored.subscription = subscription;
    oracle_.OnSettings(subscription);
    change_(std::make_shared<const Subscription>(subscription));
  });
}

std::vector<Subscription> SimCatalog::Live() const {
  std::vector<Subscription> all;
  for (const auto& [uid, subscription] : live_) all.push_back(subscription);
  return all;
}

std::vector<Subscription> SimCatalog::Idle() const {
  std::vector<Subscription> all = Live();
  std::erase_if(all, [this](const Subscription& one) { return busy_.contains(one.uid); });
  return all;
}

std::shared_ptr<const StoredRevision> SimCatalog::FindRevision(const std::string& uid,
                                                               std::int64_t match_revision) const {
  const auto at = revisions_.find({uid, match_revision});
  if (at == revisions_.end()) return nullptr;
  auto found = std::make_shared<StoredRevision>(at->second);
  if (flaw_ == Flaw::kNewestRevision) ReplaceByNewest(*found);
  return found;
}

void SimCatalog::ReplaceByNewest(StoredRevision& revision) const {
  if (revision.deleted) return;
  const std::string uid = revision.subscription.uid;
  const Sequence effective = revision.subscription.effective_sequence;
  for (auto at = revisions_.lower_bound({uid, 0}); at != revisions_.end() && at->first.first == uid;
       ++at) {
    if (!at->second.deleted) revision.subscription = at->second.subscription;
  }
  revision.subscription.effective_sequence = effective;
}

}  // namespace penstock::broker::sim
