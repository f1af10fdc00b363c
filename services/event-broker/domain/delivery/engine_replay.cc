// Lanes that end: replays, and lanes that drain.
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

void DeliveryEngine::AddReplay(const Replay& replay, EngineTime now, EngineOutput& out) {
  const auto owner = owners_.find(replay.uid);
  const std::string uid = ReplayLane(replay.uid, replay.replay);
  if (owner == owners_.end() || FindLane(uid) != nullptr) return;
  Lane& lane = MakeLane(uid, owner->second, now);
  lane.replay.emplace();
  lane.replay->to = replay.to;
  lane.replay->paused = replay.paused;
  if (replay.rate) lane.replay->rate.emplace(*replay.rate, now.monotonic);
  // Before its first cursor is stored, a replay begins at `from`.
  const bool begun = replay.cursor != nullptr && replay.cursor->floor + 1 >= replay.from;
  LoadCursor(lane, begun ? *replay.cursor : Cursor{replay.from - 1, {}});
  if (begun) {
    lane.replay->matched = replay.cursor->matched;
    lane.replay->delivered = replay.cursor->delivered;
    lane.replay->dead = replay.cursor->dead;
  }
  LoadRows(lane, replay.rows, now);
  MarkChanged(lane);
  Conclude(now, out);
}

void DeliveryEngine::SetReplayPaused(const std::string& uid, bool paused, EngineTime now,
                                     EngineOutput& out) {
  Lane* lane = FindLane(uid);
  if (lane == nullptr || !lane->replay || lane->replay->ended) return;
  lane->replay->paused = paused;
  Touch(*lane);
  Conclude(now, out);
}

// The lane of a replay that has ended comes back for its letters, without a cursor, until the last
// of them is over. Null without its subscription.
Lane* DeliveryEngine::ReviveReplay(const std::string& uid, EngineTime now) {
  const auto owner = owners_.find(std::string(SubscriptionOfLane(uid)));
  if (owner == owners_.end() || ReplayOfLane(uid).empty()) return nullptr;
  Lane& lane = MakeLane(uid, owner->second, now);
  lane.replay.emplace();
  lane.replay->ended = true;
  return &lane;
}

void DeliveryEngine::RestoreEndedReplay(const std::string& uid, const std::vector<RetryRow>& rows,
                                        EngineTime now, EngineOutput& out) {
  if (rows.empty() || FindLane(uid) != nullptr) return;
  if (Lane* lane = ReviveReplay(uid, now)) LoadRows(*lane, rows, now);
  Conclude(now, out);
}

// A replay that is done goes, in the transaction that holds its last count. A lane that has drained
// stays where it is, and says so once.
void DeliveryEngine::ReportEnd(Lane& lane, EngineOutput& out) {
  const bool ends = lane.catching_up && lane.scan_next > lane.limit() && lane.idle();
  if (!ends) return;
  if (lane.replay) {
    replays_done_[lane.uid] = lane.MakeCursor(matched_through_);
    dirty_ = true;
    EraseLane(lane);
    return;
  }
  if (std::exchange(lane.drain_reported, true)) return;
  out.drained.push_back(lane.uid);
}

}  // namespace penstock::broker
