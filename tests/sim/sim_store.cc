#include "tests/sim/sim_store.h"

#include <algorithm>

namespace penstock::broker::sim {
namespace {

absl::Status NotSimulated() { return absl::UnimplementedError("not simulated"); }

}  // namespace

void SimStore::Later(std::function<absl::Status()> write, StoreDone done) {
  busy_until_ = std::max(busy_until_, world_.clock.Monotonic()) + world_.dice.Delay(50, 3'000);
  const auto delay = busy_until_ - world_.clock.Monotonic();
  world_.After(delay, [this, alive = alive_, write = std::move(write), done = std::move(done)] {
    if (!*alive) return;
    const absl::Status status = write();
    world_.After(world_.dice.Delay(0, 2'000), [alive, done, status] {
      if (*alive) done(status);
    });
  });
}

absl::StatusOr<SavedDeliveryState> SimStore::LoadDeliveryState() {
  SavedDeliveryState saved = state_.delivery;
  for (const auto& [key, letter] : state_.dead) {
    auto& count = saved.dead[key.uid];
    ++count.letters;
    count.bytes += letter.event.size();
    const DeadDelivery& dead = letter.delivery;
    if (dead.ordering_key == 0 || dead.redrives > 0 || dead.reason == DeadReason::kKeyFailed) {
      continue;
    }
    count.failed_keys.emplace(dead.ordering_key, key.sequence);
  }
  return saved;
}

void SimStore::Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                      StoreDone done) {
  const bool failing = failing_;
  if (!failing && on_commit) on_commit(transaction);
  if (flaw_ == Flaw::kFloorBeforeRow || flaw_ == Flaw::kTwoTransactions) {
    const bool rows_first = flaw_ == Flaw::kTwoTransactions && world_.dice.Chance(0.5);
    const auto positions = [this, transaction] {
      ApplyPositions(transaction);
      return absl::OkStatus();
    };
    const auto rows = [this, transaction, dead] {
      ApplyRows(transaction, dead);
      return absl::OkStatus();
    };
    Later(rows_first ? std::function<absl::Status()>(rows) : positions, [](const absl::Status&) {});
    return Later(rows_first ? std::function<absl::Status()>(positions) : rows, std::move(done));
  }
  Later(
      [this, failing, transaction = std::move(transaction), dead = std::move(dead)] {
        if (failing) return absl::UnavailableError("the disk is full");
        ApplyPositions(transaction);
        ApplyRows(transaction, dead);
        return absl::OkStatus();
      },
      std::move(done));
}

// Before the rows: letters of a replay that has ended may be redriven at once.
void SimStore::ApplyEnds(const StateTransaction& transaction) {
  SavedDeliveryState& saved = state_.delivery;
  for (const std::string& lane : transaction.forgotten) {
    saved.cursors.erase(lane);
    saved.rows.erase(lane);
    if (const auto replay = state_.replays.find(lane); replay != state_.replays.end()) {
      replay->second.state = ReplayState::kCancelled;
    }
  }
  for (const auto& [lane, cursor] : transaction.replays_done) {
    saved.cursors.erase(lane);
    saved.rows.erase(lane);
    if (const auto replay = state_.replays.find(lane); replay != state_.replays.end()) {
      replay->second.state = ReplayState::kDone;
      replay->second.progress = cursor;
    }
  }
}

void SimStore::ApplyPositions(const StateTransaction& transaction) {
  SavedDeliveryState& saved = state_.delivery;
  saved.matched_through = std::max(saved.matched_through, transaction.matched_through);
  if (flaw_ != Flaw::kCursorsDropped) {
    for (const auto& [lane, cursor] : transaction.cursors) saved.cursors[lane] = cursor;
  }
  for (const std::string& lane : transaction.cursors_removed) saved.cursors.erase(lane);
}

void SimStore::ApplyRows(const StateTransaction& transaction,
                         const std::vector<StoredDeadLetter>& dead) {
  ApplyEnds(transaction);
  SavedDeliveryState& saved = state_.delivery;
  const auto remove = [&saved](const std::string& lane, Sequence sequence) {
    const auto at = saved.rows.find(lane);
    if (at == saved.rows.end()) return;
    std::erase_if(at->second,
                  [&](const RetryRow& row) { return row.position.sequence == sequence; });
    if (at->second.empty()) saved.rows.erase(at);
  };
  for (const DeliveryKey& key : transaction.rows_removed) remove(key.uid, key.sequence);
  for (const auto& [lane, row] : transaction.rows) {
    remove(lane, row.position.sequence);
    auto& rows = saved.rows[lane];
    const auto at = std::find_if(rows.begin(), rows.end(), [&](const RetryRow& other) {
      return other.position.sequence > row.position.sequence;
    });
    rows.insert(at, row);
  }
  for (const StoredDeadLetter& letter : dead) {
    StoredDeadLetter& kept = state_.dead[letter.delivery.key];
    const std::string event = kept.event.empty() ? letter.event : kept.event;
    kept = letter;
    kept.event = event;
    kept.bytes = static_cast<std::uint32_t>(event.size());
  }
  for (const DeliveryKey& key : transaction.dead_removed) state_.dead.erase(key);
}

absl::StatusOr<std::vector<StoredRevision>> SimStore::LoadRevisions() {
  std::vector<StoredRevision> all;
  for (const auto& [key, revision] : state_.revisions) all.push_back(revision);
  return all;
}

void SimStore::SaveRevision(StoredRevision revision, StoreDone done) {
  Later(
      [this, revision = std::move(revision)] {
        const Subscription& subscription = revision.subscription;
        state_.revisions[{subscription.uid, subscription.match_revision}] = revision;
        return absl::OkStatus();
      },
      std::move(done));
}

void SimStore::ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                                StoreDone done) {
  Later(
      [this, uid, revision, effective] {
        state_.revisions.at({uid, revision}).subscription.effective_sequence = effective;
        return absl::OkStatus();
      },
      std::move(done));
}

void SimStore::UpdateInPlace(const Subscription& subscription, StoreDone done) {
  Later(
      [this, subscription] {
        StoredRevision& stored =
            state_.revisions.at({subscription.uid, subscription.match_revision});
        const Sequence effective = stored.subscription.effective_sequence;
        stored.subscription = subscription;
        stored.subscription.effective_sequence = effective;
        return absl::OkStatus();
      },
      std::move(done));
}

void SimStore::GetDeadLetter(const DeliveryKey& key, StoreResult<StoredDeadLetter> done) {
  auto letter = std::make_shared<StoredDeadLetter>();
  Later(
      [this, key, letter] {
        const auto at = state_.dead.find(key);
        if (at == state_.dead.end()) return absl::NotFoundError("no such dead letter");
        *letter = at->second;
        return absl::OkStatus();
      },
      [letter, done](const absl::Status& status) { status.ok() ? done(*letter) : done(status); });
}

// Those that are not being redriven, whatever the query asks for.
void SimStore::ListDeadLetters(DeadLetterQuery, StoreResult<DeadLetterPage> done) {
  auto page = std::make_shared<DeadLetterPage>();
  Later(
      [this, page] {
        for (const auto& [key, letter] : state_.dead) {
          const auto rows = state_.delivery.rows.find(key.uid);
          const bool redriven =
              rows != state_.delivery.rows.end() &&
              std::any_of(rows->second.begin(), rows->second.end(), [&](const RetryRow& row) {
                return row.position.sequence == key.sequence;
              });
          if (!redriven) page->letters.push_back(letter);
        }
        return absl::OkStatus();
      },
      [page, done](const absl::Status& status) { status.ok() ? done(*page) : done(status); });
}

void SimStore::PurgeDeadLetters(std::vector<DeliveryKey> keys, StoreResult<std::int64_t> done) {
  auto count = std::make_shared<std::int64_t>(0);
  Later(
      [this, count, keys = std::move(keys)] {
        for (const DeliveryKey& key : keys) {
          *count += static_cast<std::int64_t>(state_.dead.erase(key));
        }
        return absl::OkStatus();
      },
      [count, done](const absl::Status& status) { status.ok() ? done(*count) : done(status); });
}

absl::StatusOr<std::vector<StoredReplay>> SimStore::LoadReplays() {
  std::vector<StoredReplay> all;
  for (const auto& [lane, replay] : state_.replays) {
    const bool ended =
        replay.state == ReplayState::kDone || replay.state == ReplayState::kCancelled;
    if (!ended) all.push_back(replay);
  }
  return all;
}

void SimStore::SaveReplay(StoredReplay replay, StoreDone done) {
  Later(
      [this, replay = std::move(replay)] {
        state_.replays[replay.Lane()] = replay;
        return absl::OkStatus();
      },
      std::move(done));
}

void SimStore::SetReplayState(const std::string& uid, const std::string& replay, ReplayState state,
                              WallTime, StoreResult<StoredReplay> done) {
  const std::string lane = ReplayLane(uid, replay);
  Later(
      [this, lane, state] {
        StoredReplay& stored = state_.replays.at(lane);
        if (stored.state == ReplayState::kDone) return absl::FailedPreconditionError("it is done");
        stored.state = state;
        return absl::OkStatus();
      },
      [this, lane, done](const absl::Status& status) {
        status.ok() ? done(state_.replays.at(lane)) : done(status);
      });
}

void SimStore::SaveAdopting(const std::string&, StoredRevision, StoreResult<StoredRevision> done) {
  done(NotSimulated());
}
void SimStore::DropRevision(const std::string&, std::int64_t, StoreDone done) {
  done(NotSimulated());
}
void SimStore::PruneRevisions(Sequence, StoreDone done) { done(NotSimulated()); }
void SimStore::EditDeadLetter(const DeliveryKey&, int, std::string, std::string, std::string,
                              StoreDone done) {
  done(NotSimulated());
}
void SimStore::CountDeadLetters(const std::string&, StoreResult<std::int64_t> done) {
  done(NotSimulated());
}
void SimStore::ListReplays(const std::string&, const std::string&, std::size_t,
                           StoreResult<std::vector<StoredReplay>> done) {
  done(NotSimulated());
}
void SimStore::GetReplay(const std::string&, const std::string&, StoreResult<StoredReplay> done) {
  done(NotSimulated());
}
void SimStore::PruneReplays(WallTime, StoreDone done) { done(NotSimulated()); }
void SimStore::Schedule(std::vector<ScheduledEvent>, StoreResult<std::vector<bool>> done) {
  done(NotSimulated());
}
void SimStore::ListDue(DueQuery, StoreResult<DueEvents> done) { done(NotSimulated()); }
void SimStore::RemoveScheduled(std::vector<ScheduledEvent>, StoreDone done) {
  done(NotSimulated());
}
void SimStore::ListScheduled(ScheduledQuery, StoreResult<ScheduledPage> done) {
  done(NotSimulated());
}
void SimStore::GetScheduled(const std::string&, const std::string&,
                            StoreResult<ScheduledEvent> done) {
  done(NotSimulated());
}
void SimStore::CancelScheduled(const std::string&, const std::string&,
                               StoreResult<ScheduledEvent> done) {
  done(NotSimulated());
}
void SimStore::CountScheduled(StoreResult<std::uint64_t> done) { done(NotSimulated()); }
absl::Status SimStore::Backup(const std::string&) { return NotSimulated(); }

}  // namespace penstock::broker::sim
