// Dead letters that are there already: counted, redriven, purged.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

bool DeliveryEngine::DeadLettersFull(const LaneOwner& owner) const {
  return owner.dead.letters >= options_.dead_letters_max ||
         owner.dead.bytes >= options_.dead_letter_bytes_max;
}

void DeliveryEngine::RestoreDead(const std::string& uid, const SavedDeliveryState::DeadCount& dead,
                                 EngineTime now, EngineOutput& out) {
  const auto owner = owners_.find(std::string(SubscriptionOfLane(uid)));
  if (owner == owners_.end()) return;
  owner->second.dead.letters += dead.letters;
  owner->second.dead.bytes += dead.bytes;
  Lane* lane = FindLane(uid);
  if (lane != nullptr) {
    for (const auto& [sequence, row] : lane->rows) {
      if (row.state.redrives > 0) Uncount(*lane, row.state.position.bytes);
    }
  }
  if (lane != nullptr && lane->settings().ordered &&
      lane->settings().on_exhausted == OnExhausted::kDeadLetterKey && !lane->settings().has_sink) {
    for (const auto& [key, sequence] : dead.failed_keys) {
      // One with a row is being redriven.
      if (lane->FindRow(sequence) == nullptr) lane->failed_keys.emplace(key, sequence);
    }
  }
  TouchAll(owner->second);
  Conclude(now, out);
}

// A letter that is being redriven takes no room: what is full must not keep it from being sent.
void DeliveryEngine::Uncount(Lane& lane, std::uint64_t bytes) {
  SavedDeliveryState::DeadCount& dead = lane.owner->dead;
  dead.letters -= std::min<std::uint64_t>(dead.letters, 1);
  dead.bytes -= std::min(dead.bytes, bytes);
}

std::size_t DeliveryEngine::Redrive(const std::vector<RedriveOrder>& letters, int per_second,
                                    EngineTime now, EngineOutput& out) {
  std::size_t taken = 0;
  for (const RedriveOrder& letter : letters) {
    Lane* lane = FindLane(letter.key.uid);
    if (lane == nullptr) lane = ReviveReplay(letter.key.uid, now);
    if (lane == nullptr) continue;
    const Sequence sequence = letter.key.sequence;
    const auto place = static_cast<std::int64_t>(taken++);
    if (lane->FindRow(sequence) != nullptr || lane->in_flight.contains(sequence)) continue;
    if (const auto key = lane->failed_keys.find(letter.ordering_key);
        key != lane->failed_keys.end() && key->second == sequence) {
      lane->failed_keys.erase(key);
    }
    RetryRow state;
    state.position = {sequence, letter.append_time, letter.ordering_key, letter.bytes};
    state.redrives = letter.redrives + 1;
    state.delay = Microseconds(per_second > 0 ? place * 1'000'000 / per_second : 0);
    state.due = now.wall + state.delay;
    state.age_from = state.due;
    Row& row = lane->PutRow(std::move(state));
    row.due_at = now.monotonic + row.state.delay;
    lane->WantRow(row);
    lane->Schedule(row);
    Uncount(*lane, letter.bytes);
    MarkChanged(*lane);
    TouchAll(*lane->owner);
  }
  Conclude(now, out);
  return taken;
}

void DeliveryEngine::Purged(const std::string& uid, std::uint64_t letters, std::uint64_t bytes,
                            EngineTime now, EngineOutput& out) {
  const auto owner = owners_.find(std::string(SubscriptionOfLane(uid)));
  if (owner == owners_.end()) return;
  SavedDeliveryState::DeadCount& dead = owner->second.dead;
  dead.letters -= std::min(dead.letters, letters);
  dead.bytes -= std::min(dead.bytes, bytes);
  TouchAll(owner->second);
  Conclude(now, out);
}

void DeliveryEngine::FreeKeys(const std::string& uid, const std::vector<Sequence>& letters,
                              EngineTime now, EngineOutput& out) {
  Lane* lane = FindLane(uid);
  if (lane == nullptr || lane->failed_keys.empty()) return;
  const std::set<Sequence> gone(letters.begin(), letters.end());
  std::erase_if(lane->failed_keys, [&](const auto& key) { return gone.contains(key.second); });
  Touch(*lane);
  Conclude(now, out);
}

}  // namespace penstock::broker
