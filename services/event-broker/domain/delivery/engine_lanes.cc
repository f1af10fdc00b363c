// Lanes come, change and go.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

DeliveryEngine::DeliveryEngine(EngineOptions options, Sequence matched_through)
    : options_(options),
      random_(options.seed),
      matched_through_(matched_through),
      queue_(options),
      needed_through_(matched_through) {}

Lane* DeliveryEngine::FindLane(const std::string& uid) {
  const auto at = lanes_.find(uid);
  return at == lanes_.end() ? nullptr : &at->second;
}

const Lane* DeliveryEngine::FindLane(const std::string& uid) const {
  return const_cast<DeliveryEngine*>(this)->FindLane(uid);
}

Lane& DeliveryEngine::MakeLane(const std::string& uid, LaneOwner& owner, EngineTime now) {
  if (!started_) started_ = now.monotonic;
  Lane& lane = lanes_[uid];
  lane.uid = uid;
  lane.id = next_id_++;
  lane.owner = &owner;
  lane.fair.lane = &lane;
  owner.lanes.push_back(&lane);
  queue_.Join(lane.fair, owner.settings.space);
  MakeOutlets(lane);
  DoubtKeys(lane, now);
  Touch(lane);
  return lane;
}

void DeliveryEngine::Restore(const std::string& uid, const DeliverySettings& settings,
                             const Cursor* cursor, const std::vector<RetryRow>& rows,
                             EngineTime now, EngineOutput& out) {
  if (FindLane(uid) != nullptr) return ChangeSettings(uid, settings, now, out);
  LaneOwner& owner = owners_[uid];
  owner.uid = uid;
  owner.settings = settings;
  if (settings.rate) owner.rate.emplace(*settings.rate, now.monotonic);
  Lane& lane = MakeLane(uid, owner, now);
  lane.cursor_stored = cursor != nullptr;
  if (cursor != nullptr) LoadCursor(lane, *cursor);
  LoadRows(lane, rows, now);
  StopAtLimit(lane, now);
  Conclude(now, out);
}

void DeliveryEngine::LoadCursor(Lane& lane, const Cursor& cursor) {
  lane.skip = {cursor.acked.begin(), cursor.acked.end()};
  if (!lane.replay && cursor.floor >= matched_through_) return;
  lane.catching_up = true;
  lane.scan_next = cursor.floor + 1;
}

void DeliveryEngine::LoadRows(Lane& lane, const std::vector<RetryRow>& rows, EngineTime now) {
  const Sequence taken_to = lane.TakenTo(matched_through_);
  for (const RetryRow& stored : rows) {
    Row& row = lane.PutRow(stored);
    row.wanted = true;
    row.stored = true;
    row.state.attempts_sent = std::max(stored.attempts_sent, stored.attempts_made);
    // The wall clock may have jumped while we were away: nothing waits longer than it was meant to.
    const Microseconds remaining =
        std::clamp(stored.due - now.wall, Microseconds(0), std::max(stored.delay, Microseconds(0)));
    row.due_at = now.monotonic + remaining;
    if (stored.position.sequence > taken_to) lane.skip.insert(stored.position.sequence);
  }
  Rebuild(lane, now);
  if (lane.clean() && lane.rows.empty()) return;
  Sequence needed = lane.Floor(matched_through_) + 1;
  if (!lane.rows.empty()) needed = std::min(needed, lane.rows.begin()->first);
  UpdateNeeded(lane, needed);
}

void DeliveryEngine::Add(const std::string& uid, const DeliverySettings& settings,
                         std::optional<Sequence> from, EngineTime now, EngineOutput& out) {
  if (FindLane(uid) != nullptr) return ChangeSettings(uid, settings, now, out);
  LaneOwner& owner = owners_[uid];
  owner.uid = uid;
  owner.settings = settings;
  if (settings.rate) owner.rate.emplace(*settings.rate, now.monotonic);
  Lane& lane = MakeLane(uid, owner, now);
  if (from) {
    FallBehind(lane, std::max<Sequence>(*from, 1));
    // The matcher may be at work on what lies between its mark and `from`.
    if (lane.scan_next > matched_through_) WaitForMatcher(lane);
    UpdateNeeded(lane, lane.scan_next);
  }
  StopAtLimit(lane, now);
  Conclude(now, out);
}

// Where the deliveries of a lane leave to. Targets are shared by name.
void DeliveryEngine::MakeOutlets(Lane& lane) {
  const DeliverySettings& settings = lane.settings();
  lane.members = std::max<std::size_t>(1, settings.targets.size());
  lane.outlets.resize(lane.members + 2);
  if (!settings.pull && !settings.targets.empty()) {
    for (std::size_t i = 0; i < lane.members; ++i) {
      lane.outlets[i].target = TakeTarget(settings.targets[i]);
    }
    lane.outlets[lane.redrive_outlet()].target = TakeTarget(settings.targets[0]);
  }
  if (settings.has_sink && !settings.sink_function.empty()) {
    lane.outlets[lane.sink_outlet()].target = TakeTarget(settings.sink_function);
  }
}

void DeliveryEngine::DropOutlets(Lane& lane, std::vector<Outlet> outlets) {
  for (const Outlet& outlet : outlets) {
    if (outlet.target == nullptr) continue;
    std::erase_if(outlet.target->waiters, [&](const auto& at) { return at.first == &lane; });
    --outlet.target->users;
    LeaveTarget(outlet.target);
  }
}

Target* DeliveryEngine::TakeTarget(const std::string& name) {
  const auto [at, added] = targets_.try_emplace(name, name, next_id_, options_);
  if (added) ++next_id_;
  ++at->second.users;
  return &at->second;
}

void DeliveryEngine::LeaveTarget(Target* target) {
  if (target->in_use()) return;
  std::erase(targets_touched_, target);
  if (target->timer) target_timers_.erase({*target->timer, target->id()});
  targets_.erase(std::string(target->name()));
}

// Puts everything that is not done where the settings say now.
void DeliveryEngine::Rebuild(Lane& lane, EngineTime now) {
  std::map<Sequence, Position> positions;
  for (const Ledger::Entry& entry : lane.ledger.entries()) {
    if (entry.state == Ledger::State::kUndone) positions[entry.position.sequence] = entry.position;
  }
  for (auto& [sequence, row] : lane.rows) {
    lane.Unschedule(row);
    positions[sequence] = row.state.position;
  }
  // Targets that stay are taken again before they are left, and so keep what they know.
  std::vector<Outlet> before = std::exchange(lane.outlets, {});
  MakeOutlets(lane);
  DropOutlets(lane, std::move(before));
  lane.keys.Clear();
  lane.waiting = 0;
  for (const auto& [sequence, position] : positions) Place(lane, position, now);
}

void DeliveryEngine::Place(Lane& lane, const Position& position, EngineTime now) {
  Row* row = lane.FindRow(position.sequence);
  const bool ordered = row != nullptr ? lane.Ordered(row->state) : lane.Ordered(position);
  if (lane.in_flight.contains(position.sequence)) {
    if (ordered) lane.keys.Arrive(position);
    return;
  }
  if (row != nullptr && row->state.kind == RowKind::kSink && !lane.settings().has_sink) {
    return Bury(lane, row->state, row->state.dead_reason, now);
  }
  // Earlier events of its key may still come by scans, which bring this one again.
  if (ordered && lane.skip.contains(position.sequence)) return;
  // One that had its turn at its lane's limit keeps it.
  if (ordered && lane.keys.Contains(position)) return;
  if (ordered) return Arrive(lane, position, now);
  TakeTurn(lane, position, now);
}

void DeliveryEngine::ChangeSettings(const std::string& uid, const DeliverySettings& settings,
                                    EngineTime now, EngineOutput& out) {
  const auto at = owners_.find(uid);
  if (at == owners_.end()) return;
  LaneOwner& owner = at->second;
  const DeliverySettings before = std::exchange(owner.settings, settings);
  if (!settings.rate) {
    owner.rate.reset();
  } else if (owner.rate) {
    owner.rate->Change(*settings.rate, now.monotonic);
  } else {
    owner.rate.emplace(*settings.rate, now.monotonic);
  }
  for (Lane* lane : owner.lanes) ApplySettings(*lane, before, now);
  Conclude(now, out);
}

void DeliveryEngine::ApplySettings(Lane& lane, const DeliverySettings& before, EngineTime now) {
  const DeliverySettings& after = lane.settings();
  if (before.space != after.space) {
    queue_.Leave(lane.fair);
    queue_.Join(lane.fair, after.space);
  }
  if (!before.ordered && after.ordered) DoubtKeys(lane, now);
  const bool same =
      before.targets == after.targets && before.pull == after.pull && before.retry == after.retry &&
      before.ordered == after.ordered && before.on_exhausted == after.on_exhausted &&
      before.time_to_live == after.time_to_live && before.has_sink == after.has_sink &&
      before.sink_function == after.sink_function;
  if (!same) Rebuild(lane, now);
  if (before.ordered && !after.ordered) EndDoubt(lane, now);
  if (!after.ordered || after.on_exhausted != OnExhausted::kDeadLetterKey) lane.failed_keys.clear();
  if (before.drain_to != after.drain_to) {
    lane.drain_reported = false;
    StopAtLimit(lane, now);
  }
  Touch(lane);
}

void DeliveryEngine::Remove(const std::string& uid, EngineTime now, EngineOutput& out) {
  if (Lane* lane = FindLane(uid)) {
    LaneOwner& owner = *lane->owner;
    if (lane->replay) {
      // A cancel that comes when it has ended leaves the letters alone that are redriven.
      if (!lane->replay->ended) ForgetLane(*lane, out);
    } else {
      while (!owner.lanes.empty()) ForgetLane(*owner.lanes.back(), out);
      owners_.erase(uid);
    }
  } else {
    forgotten_.push_back(uid);
  }
  dirty_ = true;
  Conclude(now, out);
}

void DeliveryEngine::ForgetLane(Lane& lane, EngineOutput& out) {
  const TargetReport nothing;
  for (const auto& [sequence, flight] : std::map(lane.in_flight)) {
    out.cancels.emplace_back(DeliveryKey{lane.uid, sequence}, flight.attempt);
    EndCall(lane, flight, nothing, last_);
  }
  in_flight_ -= lane.in_flight.size();
  // Letters of a replay stay when it is cancelled, also those that were on their way again.
  for (const auto& [sequence, row] : lane.rows) {
    if (!lane.replay || row.state.redrives == 0) continue;
    ++lane.owner->dead.letters;
    lane.owner->dead.bytes += row.state.position.bytes;
  }
  forgotten_.push_back(lane.uid);
  EraseLane(lane);
}

void DeliveryEngine::EraseLane(Lane& lane) {
  DropOutlets(lane, std::exchange(lane.outlets, {}));
  queue_.Leave(lane.fair);
  if (lane.timer) lane_timers_.erase({*lane.timer, lane.id});
  UpdateNeeded(lane, std::nullopt);
  for (auto* list : {&touched_, &changed_, &behind_, &draining_, &doubtful_, &lane.owner->lanes}) {
    std::erase(*list, &lane);
  }
  lanes_.erase(std::string(lane.uid));
}

}  // namespace penstock::broker
