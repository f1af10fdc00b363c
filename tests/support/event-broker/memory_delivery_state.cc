// Cursors, rows and dead letters in memory.
#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/domain/filter/type_pattern.h"
#include "tests/support/event-broker/memory_state_store.h"

namespace penstock::broker {
namespace {

bool IsReplayOf(const std::string& lane, const std::string& uid) {
  return lane.starts_with(uid + ".");
}

StoredReplay* FindReplay(MemoryState& state, const std::string& lane) {
  for (auto& [position, replay] : state.replays) {
    if (replay.Lane() == lane) return &replay;
  }
  return nullptr;
}

void RemoveLetter(MemoryState& state, const DeliveryKey& key, std::int64_t& removed) {
  const auto at = state.letter_positions.find(key);
  if (at == state.letter_positions.end()) return;
  state.letters.erase(at->second);
  state.letter_positions.erase(at);
  ++removed;
}

void WriteLetter(MemoryState& state, const StoredDeadLetter& letter) {
  const auto [at, fresh] =
      state.letter_positions.try_emplace(letter.delivery.key, state.next_letter);
  if (fresh) {
    state.letters[state.next_letter++] = letter;
    return;
  }
  // The event stays, which may have been edited, unless there is none.
  StoredDeadLetter& known = state.letters.at(at->second);
  const DeadDelivery before = std::exchange(known.delivery, letter.delivery);
  known.delivery.append_time = before.append_time;
  known.delivery.ordering_key = before.ordering_key;
  if (!known.event.empty()) return;
  known.event = letter.event;
  known.event_id = letter.event_id;
  known.event_type = letter.event_type;
}

StoredDeadLetter ReadLetter(const StoredDeadLetter& stored) {
  StoredDeadLetter letter = stored;
  letter.bytes = static_cast<std::uint32_t>(letter.event.size());
  return letter;
}

void EndReplays(MemoryState& state, const StateTransaction& transaction, WallTime now) {
  for (const auto& [lane, cursor] : transaction.replays_done) {
    StoredReplay* replay = FindReplay(state, lane);
    if (replay != nullptr && !replay->end_time) {
      replay->state = ReplayState::kDone;
      replay->end_time = now;
      replay->progress = cursor;
      replay->progress.acked.clear();
    }
    state.cursors.erase(lane);
    state.rows.erase(lane);
  }
}

void ForgetReplay(MemoryState& state, const std::string& lane) {
  StoredReplay* replay = FindReplay(state, lane);
  const auto cursor = state.cursors.find(lane);
  if (replay != nullptr && cursor != state.cursors.end()) {
    replay->progress = cursor->second;
    replay->progress.acked.clear();
  }
  state.cursors.erase(lane);
  state.rows.erase(lane);
}

void ForgetSubscription(MemoryState& state, const std::string& uid, Sequence matched_before) {
  MemoryState::Lane lane;
  lane.cursor.floor = matched_before;
  if (auto cursor = state.cursors.extract(uid)) lane.cursor = std::move(cursor.mapped());
  if (auto rows = state.rows.extract(uid)) lane.rows = std::move(rows.mapped());
  state.ended.try_emplace(uid, std::move(lane));
  std::erase_if(state.replays, [&](const auto& replay) { return replay.second.uid == uid; });
  std::erase_if(state.cursors, [&](const auto& other) { return IsReplayOf(other.first, uid); });
  std::erase_if(state.rows, [&](const auto& other) { return IsReplayOf(other.first, uid); });
}

void Apply(MemoryState& state, const StateTransaction& transaction,
           const std::vector<StoredDeadLetter>& dead, WallTime now) {
  EndReplays(state, transaction, now);
  for (const std::string& lane : transaction.forgotten) {
    if (!ReplayOfLane(lane).empty()) {
      ForgetReplay(state, lane);
    } else {
      ForgetSubscription(state, lane, state.matched_through);
    }
  }
  state.matched_through = std::max(state.matched_through, transaction.matched_through);
  for (const auto& [lane, cursor] : transaction.cursors) state.cursors[lane] = cursor;
  for (const std::string& lane : transaction.cursors_removed) state.cursors.erase(lane);
  for (const DeliveryKey& key : transaction.rows_removed) {
    const auto lane = state.rows.find(key.uid);
    if (lane == state.rows.end()) continue;
    lane->second.erase(key.sequence);
    if (lane->second.empty()) state.rows.erase(lane);
  }
  for (const auto& [lane, row] : transaction.rows) state.rows[lane][row.position.sequence] = row;
  for (const StoredDeadLetter& letter : dead) WriteLetter(state, letter);
  std::int64_t removed = 0;
  for (const DeliveryKey& key : transaction.dead_removed) RemoveLetter(state, key, removed);
}

bool Wanted(const MemoryState& state, const DeadLetterQuery& query,
            const StoredDeadLetter& letter) {
  const DeadDelivery& delivery = letter.delivery;
  const DeliveryError error = delivery.log.empty() ? DeliveryError() : delivery.log.back().error;
  const auto has = [&](const std::string& text) {
    return text.find(*query.error_contains) != std::string::npos;
  };
  const auto& ids = query.ids;
  return letter.space == query.space && !state.IsRedriven(delivery.key) &&
         (!query.subscription || letter.subscription == *query.subscription) &&
         (!query.reason || delivery.reason == *query.reason) &&
         (!query.event_id || letter.event_id == *query.event_id) &&
         (!query.event_type || *query.event_type == "*" ||
          TypePattern::Parse("eventType", *query.event_type)->Matches(letter.event_type)) &&
         (!query.from_time || delivery.time >= *query.from_time) &&
         (!query.to_time || delivery.time < *query.to_time) &&
         (!query.error_contains || has(error.type) || has(error.message)) &&
         (ids.empty() || std::find(ids.begin(), ids.end(), delivery.key.Id()) != ids.end());
}

absl::Status List(const MemoryState& state, const DeadLetterQuery& query, DeadLetterPage& page) {
  std::int64_t after = 0;
  if (!query.after.empty()) {
    const char* end = query.after.data() + query.after.size();
    const auto [stop, error] = std::from_chars(query.after.data(), end, after);
    if (error != std::errc() || stop != end || after < 0) {
      return FieldError("pageToken", "is not one that an earlier answer gave");
    }
  }
  if (query.event_type) {
    RETURN_IF_ERROR(TypePattern::Parse("eventType", *query.event_type).status());
  }
  std::int64_t last = 0;
  for (auto at = state.letters.upper_bound(after); at != state.letters.end(); ++at) {
    if (!Wanted(state, query, at->second)) continue;
    if (page.letters.size() == query.limit) {
      page.next = std::to_string(last);
      break;
    }
    page.letters.push_back(ReadLetter(at->second));
    last = at->first;
  }
  return absl::OkStatus();
}

absl::Status NotFound(const DeliveryKey& key) {
  return absl::NotFoundError("dead letter \"" + key.Id() + "\" not found");
}

}  // namespace

void MemoryState::CountLetter(const StoredDeadLetter& letter,
                              SavedDeliveryState::DeadCount& count) const {
  const DeadDelivery& delivery = letter.delivery;
  ++count.letters;
  count.bytes += letter.event.size();
  if (delivery.ordering_key == 0 || delivery.redrives > 0 ||
      delivery.reason == DeadReason::kKeyFailed || delivery.reason == DeadReason::kRetention ||
      IsRedriven(delivery.key)) {
    return;
  }
  const auto [at, fresh] =
      count.failed_keys.try_emplace(delivery.ordering_key, delivery.key.sequence);
  if (!fresh) at->second = std::min(at->second, delivery.key.sequence);
}

absl::StatusOr<SavedDeliveryState> MemoryStateStore::LoadDeliveryState() {
  SavedDeliveryState saved;
  RETURN_IF_ERROR(Load([&](const MemoryState& state) {
    saved.matched_through = state.matched_through;
    saved.cursors = state.cursors;
    for (const auto& [lane, rows] : state.rows) {
      for (const auto& [sequence, row] : rows) saved.rows[lane].push_back(row);
    }
    for (const auto& [position, letter] : state.letters) {
      state.CountLetter(letter, saved.dead[letter.delivery.key.uid]);
    }
    return absl::OkStatus();
  }));
  return saved;
}

void MemoryStateStore::Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                              Done done) {
  Post(
      [this, transaction = std::move(transaction), dead = std::move(dead)](MemoryState& state) {
        Apply(state, transaction, dead, options_.clock->Wall());
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) {
  ReadValue<DeadLetterPage>(
      [&](const MemoryState& state, DeadLetterPage& page) { return List(state, query, page); },
      done);
}

void MemoryStateStore::GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) {
  ReadValue<StoredDeadLetter>(
      [&](const MemoryState& state, StoredDeadLetter& letter) {
        const auto at = state.letter_positions.find(key);
        if (at == state.letter_positions.end()) return NotFound(key);
        letter = ReadLetter(state.letters.at(at->second));
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) {
  WriteValue<std::int64_t>(
      [keys = std::move(keys)](MemoryState& state, std::int64_t& purged) {
        for (const DeliveryKey& key : keys) RemoveLetter(state, key, purged);
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::EditDeadLetter(const DeliveryKey& key, int edits, std::string event,
                                      std::string event_id, std::string event_type, Done done) {
  Post(
      [=](MemoryState& state) {
        const auto at = state.letter_positions.find(key);
        if (at == state.letter_positions.end() || state.IsRedriven(key)) return NotFound(key);
        StoredDeadLetter& letter = state.letters.at(at->second);
        if (letter.delivery.reason == DeadReason::kRetention) {
          return absl::FailedPreconditionError("there is no event to edit");
        }
        if (letter.edits != edits) return absl::AbortedError("it has been changed");
        if (letter.edits == 0) letter.original_event = letter.event;
        ++letter.edits;
        letter.event = event;
        letter.event_id = event_id;
        letter.event_type = event_type;
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::CountDeadLetters(const std::string& uid, Result<std::int64_t> done) {
  ReadValue<std::int64_t>(
      [&](const MemoryState& state, std::int64_t& count) {
        for (const auto& [position, letter] : state.letters) {
          const std::string& lane = letter.delivery.key.uid;
          if (lane == uid || IsReplayOf(lane, uid)) ++count;
        }
        return absl::OkStatus();
      },
      done);
}

}  // namespace penstock::broker
