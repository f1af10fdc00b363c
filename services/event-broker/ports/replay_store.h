// Replays of parts of the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/store_results.h"

namespace penstock::broker {

enum class ReplayState : std::uint8_t { kRunning = 1, kPaused = 2, kDone = 3, kCancelled = 4 };

// A replay as stored.
struct StoredReplay {
  std::string uid;     // Of the subscription.
  std::string replay;  // Unique for the subscription.
  Sequence from = kNoSequence;
  Sequence to = kNoSequence;
  int rate_per_second = 0;
  ReplayState state = ReplayState::kRunning;
  Cursor progress;  // The last one that is durable.
  WallTime create_time{};
  std::optional<WallTime> end_time;

  std::string Lane() const { return ReplayLane(uid, replay); }
};

// See StoreDone for threads.
class ReplayStore {
 public:
  virtual ~ReplayStore() = default;

  // Replays that are running or paused, with their progress, for the start of delivery.
  virtual absl::StatusOr<std::vector<StoredReplay>> LoadReplays() = 0;
  // ALREADY_EXISTS when the subscription has one of that id.
  virtual void SaveReplay(StoredReplay replay, StoreDone done) = 0;
  // NOT_FOUND when there is none; FAILED_PRECONDITION when it has ended. Gives it as it is then.
  virtual void SetReplayState(const std::string& uid, const std::string& replay, ReplayState state,
                              WallTime now, StoreResult<StoredReplay> done) = 0;
  // Of a subscription, newest first; `after` is the id of the last one of an earlier page.
  virtual void ListReplays(const std::string& uid, const std::string& after, std::size_t limit,
                           StoreResult<std::vector<StoredReplay>> done) = 0;
  virtual void GetReplay(const std::string& uid, const std::string& replay,
                         StoreResult<StoredReplay> done) = 0;
  // Ended ones older than `before` go.
  virtual void PruneReplays(WallTime before, StoreDone done) = 0;
};

}  // namespace penstock::broker
