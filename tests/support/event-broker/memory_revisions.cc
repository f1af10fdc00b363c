// Revisions and lanes in memory.
#include <algorithm>
#include <iterator>
#include <utility>

#include "libs/base/status.h"
#include "tests/support/event-broker/memory_state_store.h"

namespace penstock::broker {
namespace {

std::string ReplayLanesOf(const std::string& uid) { return uid + "."; }

// The letters of a subscription and of its replays.
void MoveDeadLetters(MemoryState& state, const std::string& from, const std::string& to) {
  for (auto& [position, letter] : state.letters) {
    DeliveryKey& key = letter.delivery.key;
    if (key.uid != from && !key.uid.starts_with(ReplayLanesOf(from))) continue;
    state.letter_positions.erase(key);
    key.uid = to + key.uid.substr(from.size());
    state.letter_positions[key] = position;
  }
}

std::shared_ptr<const SavedLane> LoadLane(const MemoryState& state, const std::string& lane) {
  const auto cursor = state.cursors.find(lane);
  if (cursor == state.cursors.end()) return nullptr;
  auto saved = std::make_shared<SavedLane>();
  saved->cursor = cursor->second;
  if (const auto rows = state.rows.find(lane); rows != state.rows.end()) {
    for (const auto& [sequence, row] : rows->second) saved->rows.push_back(row);
  }
  SavedDeliveryState::DeadCount of_replays;
  for (const auto& [position, letter] : state.letters) {
    const std::string& of = letter.delivery.key.uid;
    if (of == lane) state.CountLetter(letter, saved->dead);
    if (of.starts_with(ReplayLanesOf(lane))) state.CountLetter(letter, of_replays);
  }
  saved->dead.letters += of_replays.letters;
  saved->dead.bytes += of_replays.bytes;
  return saved;
}

MemoryState::Lane TakeLane(MemoryState& state, const std::string& lane) {
  MemoryState::Lane taken;
  if (auto cursor = state.cursors.extract(lane)) taken.cursor = std::move(cursor.mapped());
  if (auto rows = state.rows.extract(lane)) taken.rows = std::move(rows.mapped());
  return taken;
}

absl::Status CheckNames(const MemoryState& state, const Subscription& subscription, bool deleted) {
  if (subscription.revision == 1 && state.names.contains({subscription.space, subscription.id})) {
    return absl::AlreadyExistsError("subscription \"" + subscription.Name() + "\" already exists");
  }
  if (deleted || !subscription.http) return absl::OkStatus();
  const auto route = state.routes.find(RouteKey(*subscription.http));
  if (route == state.routes.end() || route->second == subscription.uid) return absl::OkStatus();
  return FieldError("http.path", "is already answered by another subscription");
}

void SetRoute(MemoryState& state, const Subscription& subscription) {
  std::erase_if(state.routes, [&](const auto& route) { return route.second == subscription.uid; });
  if (subscription.http) state.routes[RouteKey(*subscription.http)] = subscription.uid;
}

void FreeNames(MemoryState& state, const std::string& uid) {
  std::erase_if(state.names, [&](const auto& name) { return name.second == uid; });
  std::erase_if(state.routes, [&](const auto& route) { return route.second == uid; });
}

void WriteRevision(MemoryState& state, const StoredRevision& revision, const std::string& adopted) {
  const Subscription& subscription = revision.subscription;
  if (subscription.revision == 1) {
    state.names[{subscription.space, subscription.id}] = subscription.uid;
  }
  if (!revision.deleted) SetRoute(state, subscription);
  state.revisions[{subscription.uid, subscription.match_revision}] = {
      subscription, revision.deleted, kNoSequence, adopted};
}

}  // namespace

absl::StatusOr<std::vector<StoredRevision>> MemoryStateStore::LoadRevisions() {
  std::vector<StoredRevision> revisions;
  RETURN_IF_ERROR(Load([&](const MemoryState& state) {
    for (const auto& [id, kept] : state.revisions) {
      StoredRevision revision{kept.subscription, kept.deleted, nullptr};
      Subscription& subscription = revision.subscription;
      subscription.effective_sequence = kept.effective;
      if (kept.effective != kNoSequence && subscription.state == SubscriptionState::kPending) {
        subscription.state = SubscriptionState::kActive;
      }
      if (!kept.adopted.empty()) revision.adopted = LoadLane(state, id.first);
      revisions.push_back(std::move(revision));
    }
    return absl::OkStatus();
  }));
  return revisions;
}

void MemoryStateStore::SaveRevision(StoredRevision revision, Done done) {
  Post(
      [revision = std::move(revision)](MemoryState& state) -> absl::Status {
        RETURN_IF_ERROR(CheckNames(state, revision.subscription, revision.deleted));
        WriteRevision(state, revision, "");
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::SaveAdopting(const std::string& from_uid, StoredRevision revision,
                                    Result<StoredRevision> done) {
  WriteValue<StoredRevision>(
      [from_uid, revision = std::move(revision)](MemoryState& state,
                                                 StoredRevision& stored) -> absl::Status {
        const std::string& uid = revision.subscription.uid;
        if (!state.ended.contains(from_uid)) {
          return absl::NotFoundError("nothing is kept of subscription \"" + from_uid + "\"");
        }
        RETURN_IF_ERROR(CheckNames(state, revision.subscription, false));
        auto lane = state.ended.extract(from_uid);
        state.cursors[uid] = std::move(lane.mapped().cursor);
        if (!lane.mapped().rows.empty()) state.rows[uid] = std::move(lane.mapped().rows);
        MoveDeadLetters(state, from_uid, uid);
        stored = revision;
        stored.adopted = LoadLane(state, uid);
        Sequence& start = stored.subscription.start.resolved;
        start = std::max(start, stored.adopted->cursor.floor + 1);
        WriteRevision(state, stored, from_uid);
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::ActivateRevision(const std::string& uid, std::int64_t revision,
                                        Sequence effective, Done done) {
  Post(
      [=](MemoryState& state) {
        const auto at = state.revisions.find({uid, revision});
        if (at == state.revisions.end()) return absl::OkStatus();
        if (at->second.effective == kNoSequence) at->second.effective = effective;
        if (at->second.deleted) FreeNames(state, uid);
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::DropRevision(const std::string& uid, std::int64_t revision, Done done) {
  Post(
      [=](MemoryState& state) {
        const auto at = state.revisions.find({uid, revision});
        if (at == state.revisions.end() || at->second.effective != kNoSequence) {
          return absl::OkStatus();
        }
        if (const std::string& adopted = at->second.adopted; !adopted.empty()) {
          state.ended[adopted] = TakeLane(state, uid);
          MoveDeadLetters(state, uid, adopted);
        }
        state.revisions.erase(at);
        if (revision == 1) FreeNames(state, uid);
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::UpdateInPlace(const Subscription& subscription, Done done) {
  Post(
      [subscription](MemoryState& state) -> absl::Status {
        const auto at = state.revisions.find({subscription.uid, subscription.match_revision});
        if (at == state.revisions.end()) {
          return absl::NotFoundError("subscription \"" + subscription.Name() + "\" not found");
        }
        if (subscription.http) {
          const auto route = state.routes.find(RouteKey(*subscription.http));
          if (route != state.routes.end() && route->second != subscription.uid) {
            return FieldError("http.path", "is already answered by another subscription");
          }
        }
        SetRoute(state, subscription);
        at->second.subscription = subscription;
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::PruneRevisions(Sequence horizon, Done done) {
  Post(
      [horizon](MemoryState& state) {
        const auto met = [&](const MemoryState::Revision& revision) {
          return revision.effective != kNoSequence && revision.effective <= horizon;
        };
        for (auto at = state.revisions.begin(); at != state.revisions.end();) {
          bool goes = at->second.deleted && met(at->second);
          for (auto later = std::next(at);
               later != state.revisions.end() && later->first.first == at->first.first; ++later) {
            goes = goes || met(later->second);
          }
          goes = goes && at->second.effective != kNoSequence;
          at = goes ? state.revisions.erase(at) : std::next(at);
        }
        std::erase_if(state.ended, [&](const auto& lane) {
          const auto first = state.revisions.lower_bound({lane.first, 0});
          return first == state.revisions.end() || first->first.first != lane.first;
        });
        return absl::OkStatus();
      },
      std::move(done));
}

}  // namespace penstock::broker
