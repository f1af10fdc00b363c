// Tells watchers about every change of a function: a snapshot first, then what follows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// A piece of what a watcher is told, in order of the revisions.
struct WatchBatch {
  std::vector<Change> changes;
  bool is_snapshot_begin = false;  // Forget everything known before.
  bool is_snapshot_end = false;
  std::int64_t revision = 0;  // The watcher has everything up to here; 0 inside a snapshot.
};

// What a watch calls, on a thread of the store or inside the call that led to it. Neither may
// block.
struct WatchSink {
  // Takes a batch, or refuses it: then the watch waits for OnWritable.
  std::function<bool(const WatchBatch&)> offer;
  // The watch is over and calls nothing any more. Called at most once.
  std::function<void(const absl::Status&)> end;
};

// One watcher's place in the changes. It reads them from the store when there is something new and
// the sink takes it, so a slow watcher costs no memory. Thread-safe; shared by the feed and the
// sink.
class FunctionWatch : public std::enable_shared_from_this<FunctionWatch> {
 public:
  // `store` must outlive the watch's last call.
  FunctionWatch(FunctionStore& store, PageLimits limits, std::int64_t from_revision,
                WatchSink sink);

  // There may be something new.
  void OnCommit();
  // The sink, after it refused, has room again. Callable from reactions.
  void OnWritable();
  // The watcher is gone: nothing is called any more, but for what runs now.
  void Detach();
  // Ends the watch and tells the sink.
  void End(const absl::Status& status);

 private:
  // Where the watch is. Changes only when the sink has taken a batch.
  struct Place {
    std::int64_t cursor = 0;  // Everything up to here has been given.
    bool is_first = true;
    bool is_in_snapshot = false;
    std::int64_t snapshot_from = 0;  // The revision when the snapshot began.
  };
  struct Step {
    WatchBatch batch;
    Place next;
    bool has_more = false;
  };

  static absl::Status ReadStep(FunctionReader& reader, const Place& from, PageLimits limits,
                               Step* step);
  // Both are called by the one who holds `is_busy_`, without the lock.
  void StartRead();
  void OnRead(const absl::Status& status, const Step& step);

  FunctionStore& store_;
  const PageLimits limits_;
  const WatchSink sink_;
  std::mutex mutex_;
  Place place_;
  bool is_busy_ = false;      // Someone reads or offers.
  bool is_dirty_ = false;     // Something new came meanwhile.
  bool is_refused_ = false;   // The sink has no room.
  bool is_writable_ = false;  // The sink got room while someone was busy.
  bool is_ended_ = false;
};

// All watches. Thread-safe. It makes itself the listener of `store`, which must outlive it.
class ChangeFeed {
 public:
  struct Limits {
    std::size_t watches_max = 1000;
    PageLimits batch{.count_max = 500, .bytes_max = std::size_t{1} << 20};
  };

  ChangeFeed(FunctionStore& store, Limits limits);
  ~ChangeFeed();
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  // Adds a watch that continues after `from_revision`, or starts with a snapshot when that is 0 or
  // cannot be continued from. It is silent until its first OnCommit(), which the caller makes when
  // the sink is ready. RESOURCE_EXHAUSTED when there are too many, UNAVAILABLE after Close().
  absl::StatusOr<std::shared_ptr<FunctionWatch>> Open(std::int64_t from_revision, WatchSink sink);
  // The watcher is gone.
  void Remove(const std::shared_ptr<FunctionWatch>& watch);

  // Ends all watches with `status` and takes no new ones.
  void Close(const absl::Status& status);

  std::size_t size() const;

 private:
  void Notify();

  FunctionStore& store_;
  const Limits limits_;
  mutable std::mutex mutex_;
  bool is_closed_ = false;
  std::set<std::shared_ptr<FunctionWatch>> watches_;
};

}  // namespace penstock::functions
