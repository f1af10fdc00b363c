// Replays and scheduled events in memory.
#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "libs/base/status.h"
#include "tests/support/event-broker/memory_state_store.h"

namespace penstock::broker {
namespace {

// With the progress of one that runs.
StoredReplay Shown(const MemoryState& state, const StoredReplay& replay) {
  StoredReplay shown = replay;
  const auto cursor = state.cursors.find(replay.Lane());
  if (cursor != state.cursors.end()) shown.progress = cursor->second;
  return shown;
}

std::int64_t PositionOf(const MemoryState& state, const std::string& uid,
                        const std::string& replay) {
  for (const auto& [position, stored] : state.replays) {
    if (stored.uid == uid && stored.replay == replay) return position;
  }
  return 0;
}

absl::Status NoReplay(const std::string& replay) {
  return absl::NotFoundError("replay \"" + replay + "\" not found");
}

absl::Status NotScheduled(const std::string& key) {
  return absl::NotFoundError("scheduled event \"" + key + "\" not found");
}

// All of them, the next one first.
std::vector<ScheduledEvent> ByDue(const MemoryState& state) {
  std::vector<ScheduledEvent> events;
  for (const auto& [name, event] : state.scheduled) events.push_back(event);
  std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) {
    return std::tie(a.due, a.space, a.key) < std::tie(b.due, b.space, b.key);
  });
  return events;
}

absl::StatusOr<std::pair<std::int64_t, std::string>> ParsePlace(const std::string& after) {
  std::pair<std::int64_t, std::string> place{INT64_MIN, ""};
  if (after.empty()) return place;
  const char* end = after.data() + after.size();
  const auto [stop, error] = std::from_chars(after.data(), end, place.first);
  if (error != std::errc() || stop == end || *stop != '/') {
    return FieldError("pageToken", "is not one that an earlier answer gave");
  }
  place.second = std::string(stop + 1, end);
  return place;
}

}  // namespace

absl::StatusOr<std::vector<StoredReplay>> MemoryStateStore::LoadReplays() {
  std::vector<StoredReplay> replays;
  RETURN_IF_ERROR(Load([&](const MemoryState& state) {
    for (const auto& [position, replay] : state.replays) {
      if (!replay.end_time) replays.push_back(Shown(state, replay));
    }
    return absl::OkStatus();
  }));
  return replays;
}

void MemoryStateStore::SaveReplay(StoredReplay replay, Done done) {
  Post(
      [replay = std::move(replay)](MemoryState& state) -> absl::Status {
        if (PositionOf(state, replay.uid, replay.replay) != 0) {
          return absl::AlreadyExistsError("replay \"" + replay.replay + "\" already exists");
        }
        StoredReplay& stored = state.replays[state.next_replay++];
        stored = replay;
        stored.progress.acked.clear();
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::SetReplayState(const std::string& uid, const std::string& replay,
                                      ReplayState to, WallTime now, Result<StoredReplay> done) {
  WriteValue<StoredReplay>(
      [=](MemoryState& state, StoredReplay& found) -> absl::Status {
        const std::int64_t position = PositionOf(state, uid, replay);
        if (position == 0) return NoReplay(replay);
        StoredReplay& stored = state.replays.at(position);
        if (stored.end_time) {
          return absl::FailedPreconditionError("replay \"" + replay + "\" has ended");
        }
        stored.state = to;
        if (to == ReplayState::kDone || to == ReplayState::kCancelled) stored.end_time = now;
        found = Shown(state, stored);
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::ListReplays(const std::string& uid, const std::string& after,
                                   std::size_t limit, Result<std::vector<StoredReplay>> done) {
  ReadValue<std::vector<StoredReplay>>(
      [&](const MemoryState& state, std::vector<StoredReplay>& replays) -> absl::Status {
        auto at = state.replays.rbegin();
        if (!after.empty()) {
          const std::int64_t position = PositionOf(state, uid, after);
          if (position == 0) {
            return FieldError("pageToken", "names a replay that is not kept any more");
          }
          at = std::make_reverse_iterator(state.replays.find(position));
        }
        for (; at != state.replays.rend() && replays.size() < limit; ++at) {
          if (at->second.uid == uid) replays.push_back(Shown(state, at->second));
        }
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::GetReplay(const std::string& uid, const std::string& replay,
                                 Result<StoredReplay> done) {
  ReadValue<StoredReplay>(
      [&](const MemoryState& state, StoredReplay& found) {
        const std::int64_t position = PositionOf(state, uid, replay);
        if (position == 0) return NoReplay(replay);
        found = Shown(state, state.replays.at(position));
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::PruneReplays(WallTime before, Done done) {
  Post(
      [before](MemoryState& state) {
        std::erase_if(state.replays, [&](const auto& replay) {
          return replay.second.end_time && *replay.second.end_time < before;
        });
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::Schedule(std::vector<ScheduledEvent> events,
                                Result<std::vector<bool>> done) {
  WriteValue<std::vector<bool>>(
      [this, events = std::move(events)](MemoryState& state, std::vector<bool>& fresh) {
        const WallTime now = options_.clock->Wall();
        std::erase_if(state.published_keys, [&](const auto& key) { return key.second <= now; });
        for (const ScheduledEvent& event : events) {
          const MemoryState::Named name{event.space, event.key};
          fresh.push_back(!state.published_keys.contains(name) &&
                          state.scheduled.try_emplace(name, event).second);
        }
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::ListDue(DueQuery query, Result<DueEvents> done) {
  ReadValue<DueEvents>(
      [&](const MemoryState& state, DueEvents& due) {
        for (ScheduledEvent& event : ByDue(state)) {
          if (query.spaces_except.contains(event.space)) continue;
          if (event.due > query.now || due.events.size() == query.limit) {
            due.next = event.due;
            break;
          }
          due.events.push_back(std::move(event));
        }
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::RemoveScheduled(std::vector<ScheduledEvent> events, Done done) {
  Post(
      [this, events = std::move(events)](MemoryState& state) {
        for (const ScheduledEvent& event : events) {
          const MemoryState::Named name{event.space, event.key};
          const auto at = state.scheduled.find(name);
          if (at != state.scheduled.end() && at->second.due == event.due &&
              at->second.create_time == event.create_time) {
            state.scheduled.erase(at);
          }
          state.published_keys[name] = options_.clock->Wall() + options_.dedup_window;
        }
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::ListScheduled(ScheduledQuery query, Result<ScheduledPage> done) {
  ReadValue<ScheduledPage>(
      [&](const MemoryState& state, ScheduledPage& page) -> absl::Status {
        ASSIGN_OR_RETURN(const auto after, ParsePlace(query.after));
        for (ScheduledEvent& event : ByDue(state)) {
          if (event.space != query.space || (query.event_id && event.id != *query.event_id) ||
              std::pair(ToUnixMicros(event.due), event.key) <= after) {
            continue;
          }
          if (page.events.size() == query.limit) {
            const ScheduledEvent& last = page.events.back();
            page.next = std::to_string(ToUnixMicros(last.due)) + "/" + last.key;
            break;
          }
          page.events.push_back(std::move(event));
        }
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::GetScheduled(const std::string& space, const std::string& key,
                                    Result<ScheduledEvent> done) {
  ReadValue<ScheduledEvent>(
      [&](const MemoryState& state, ScheduledEvent& event) {
        const auto at = state.scheduled.find({space, key});
        if (at == state.scheduled.end()) return NotScheduled(key);
        event = at->second;
        return absl::OkStatus();
      },
      done);
}

void MemoryStateStore::CancelScheduled(const std::string& space, const std::string& key,
                                       Result<ScheduledEvent> done) {
  WriteValue<ScheduledEvent>(
      [=](MemoryState& state, ScheduledEvent& event) {
        auto node = state.scheduled.extract(MemoryState::Named(space, key));
        if (!node) return NotScheduled(key);
        event = std::move(node.mapped());
        return absl::OkStatus();
      },
      std::move(done));
}

void MemoryStateStore::CountScheduled(Result<std::uint64_t> done) {
  ReadValue<std::uint64_t>(
      [](const MemoryState& state, std::uint64_t& count) {
        count = state.scheduled.size();
        return absl::OkStatus();
      },
      done);
}

}  // namespace penstock::broker
