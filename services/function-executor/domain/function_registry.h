// The functions that this executor knows, as the function-manager announced them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// A change of one function. `spec` is null when it is gone.
struct FunctionUpdate {
  std::string space;
  std::string id;
  std::string uid;
  std::int64_t version = 0;
  std::shared_ptr<const FunctionSpec> spec;
  // True when no executor has started the version yet.
  bool is_unproven = false;
  // True for a version that is kept beside the newest: it says nothing of what follows.
  bool is_older_version = false;
  std::vector<TrafficShare> traffic{};  // Empty: the newest version gets all calls.
  std::map<std::string, std::int64_t> aliases{};
  std::vector<std::int64_t> kept{};  // The versions that stay; empty: only the newest.
  // Those that the kept versions name, as far as they exist; null for none.
  std::shared_ptr<const Secrets> secrets{};
  // The steps of its space.
  std::vector<StepSpec> space_middleware{};
};

class Chain;

// A version to call, with the secrets that it names and its middleware; null for none.
struct ResolvedFunction {
  std::shared_ptr<const FunctionSpec> spec;
  // The weighted function that was asked for and chose this one; null where there is none.
  std::shared_ptr<const FunctionSpec> split;
  std::shared_ptr<const Secrets> secrets;
  std::shared_ptr<const Chain> chain;
  // What signs its requests.
  std::shared_ptr<const SecretValues> signing;
};

// Which version of a function is called.
struct FunctionChoice {
  std::string_view space;
  std::string_view id;
  // A version's number or an alias; empty: as the traffic says.
  std::string_view tag;
  // Calls with the same key run the same version while the traffic stands; empty: each by itself.
  std::string_view sticky_key;
};

// A copy of all functions in memory. Looking up takes no lock: each shard is an immutable map that
// a change replaces. Thread-safe; changes come from one thread at a time. `timers` must outlive it.
class FunctionRegistry {
 public:
  // Is told when versions of `uid` below `version` are no longer called by the function's name or
  // an alias.
  using Forget = std::function<void(const std::string& uid, std::int64_t version)>;
  // Is told, with each change of a function whose versions have workers to be kept, which versions
  // calls by its name or an alias reach now; none when it is gone.
  using Keep = std::function<void(const std::string& uid,
                                  std::vector<std::shared_ptr<const FunctionSpec>> reached)>;
  using WaitDone = std::function<void(const absl::Status&)>;
  // Makes the middleware of a version, the space's before its own; null when there is none.
  using MakeChain = std::function<std::shared_ptr<const Chain>(
      const std::vector<StepSpec>& of_space, const FunctionSpec& function)>;

  // Without `make_chain` no call passes middleware.
  explicit FunctionRegistry(Timers& timers, Forget forget = {}, Keep keep = {},
                            MakeChain make_chain = {});
  // Calls that still wait are ended with UNAVAILABLE.
  ~FunctionRegistry();
  FunctionRegistry(const FunctionRegistry&) = delete;
  FunctionRegistry& operator=(const FunctionRegistry&) = delete;

  // The newest version of the function, or null when there is none.
  std::shared_ptr<const FunctionSpec> Find(std::string_view space, std::string_view id) const;

  // The version that is to be called. NOT_FOUND for a function, version or alias that is not there,
  // naming which are, and for a version that names a secret that does not exist. Of a weighted
  // function it is a version of one of those that it names.
  absl::StatusOr<ResolvedFunction> Resolve(const FunctionChoice& choice) const;

  // A secret that signs for a version of the function. NOT_FOUND when none names it, or it does not
  // exist.
  absl::StatusOr<std::shared_ptr<const SecretValues>> SigningSecret(
      std::string_view space, std::string_view id, const std::string& secret) const;

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
  struct Entry;
  using Map = std::unordered_map<std::string, std::shared_ptr<const Entry>>;
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

  // One that is not weighted, or the weighted one.
  absl::StatusOr<ResolvedFunction> ResolveOne(const FunctionChoice& choice) const;
  // Evenly spread: by the key, else from call to call.
  std::uint64_t Draw(std::string_view uid, std::string_view sticky_key) const;
  static std::size_t ShardOf(const std::string& key);
  void Publish(std::int64_t revision);
  std::shared_ptr<const Entry> FindEntry(std::string_view space, std::string_view id) const;
  // Brings `map` up to `update`. `known` is what is known of the function so far, or null.
  void Apply(const FunctionUpdate& update, const std::string& key, const Entry* known,
             Map* map) const;
  // Makes the middleware of all versions of `entry` that cannot be taken over from `before`.
  void MakeChains(const Entry* before, Entry* entry) const;
  // Tells of the versions that calls no longer reach by the function's name or an alias.
  void ForgetReplaced(const Entry* before, const Entry* after) const;
  void KeepReached(const Entry* before, const Entry* after) const;
  absl::Status NotYet(std::int64_t min_revision) const;

  Timers& timers_;
  const Forget forget_;
  const Keep keep_;
  const MakeChain make_chain_;
  std::array<std::atomic<std::shared_ptr<const Map>>, kShards> shards_;
  std::atomic<std::int64_t> revision_{0};
  std::atomic<bool> ready_{false};
  std::atomic<std::size_t> size_{0};
  mutable std::atomic<std::uint64_t> calls_{0};  // Spreads calls without a key.
  std::mutex change_mutex_;
  const std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();
};

}  // namespace penstock::executor
