// The functions that this executor knows, as the function-manager announced them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// A change of one function. `spec` is null when it is gone, or cannot be called yet.
struct FunctionUpdate {
  std::string space;
  std::string id;
  std::string uid;
  std::int64_t version = 0;
  std::shared_ptr<const FunctionSpec> spec;
};

// A copy of all functions in memory. Looking up takes no lock: each shard is an immutable map that
// a change replaces. Thread-safe; changes come from one thread at a time. `timers` must outlive it.
class FunctionRegistry {
 public:
  // Is told of each function version that is no longer current: versions of `uid` below `version`.
  using Forget = std::function<void(const std::string& uid, std::int64_t version)>;
  using WaitDone = std::function<void(const absl::Status&)>;

  explicit FunctionRegistry(Timers& timers, Forget forget = {});
  // Calls that still wait are ended with UNAVAILABLE.
  ~FunctionRegistry();
  FunctionRegistry(const FunctionRegistry&) = delete;
  FunctionRegistry& operator=(const FunctionRegistry&) = delete;

  // The function, or null when there is none.
  std::shared_ptr<const FunctionSpec> Find(std::string_view space, std::string_view id) const;

  // UNAVAILABLE until the first snapshot was complete.
  absl::Status Ready() const;

  // 0 until the first snapshot was complete.
  std::int64_t revision() const { return revision_.load(std::memory_order_acquire); }
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  // True when everything up to `min_revision` is known.
  bool Has(std::int64_t min_revision) const { return ready_.load() && revision() >= min_revision; }

  // Calls `done` with OK as soon as Has(min_revision), or with UNAVAILABLE after `limit`: now or
  // later, on any thread.
  void WaitFor(std::int64_t min_revision, Microseconds limit, WaitDone done);

  // Ends all calls that wait with UNAVAILABLE.
  void EndWaits();

  // Replaces everything.
  void ApplySnapshot(std::vector<FunctionUpdate> functions, std::int64_t revision);
  void ApplyChanges(std::vector<FunctionUpdate> changes, std::int64_t revision);

 private:
  using Map = std::unordered_map<std::string, std::shared_ptr<const FunctionSpec>>;
  static constexpr std::size_t kShards = 64;

  struct Waiter {
    std::int64_t min_revision;
    WaitDone done;
    std::shared_ptr<Timers::Handle> timer;
  };
  // Shared with timers, which may fire after the registry is gone.
  struct Waiters {
    std::mutex mutex;
    std::list<Waiter> list;
  };

  static std::size_t ShardOf(const std::string& key);
  void Publish(std::int64_t revision);
  void ForgetUpdate(const FunctionUpdate& update, const Map& before, const std::string& key);
  absl::Status NotYet(std::int64_t min_revision) const;

  Timers& timers_;
  const Forget forget_;
  std::array<std::atomic<std::shared_ptr<const Map>>, kShards> shards_;
  std::atomic<std::int64_t> revision_{0};
  std::atomic<bool> ready_{false};
  std::atomic<std::size_t> size_{0};
  std::mutex change_mutex_;
  const std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();
};

}  // namespace penstock::executor
