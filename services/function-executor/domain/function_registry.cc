#include "services/function-executor/domain/function_registry.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "libs/base/status.h"

namespace penstock::executor {
namespace {

std::string KeyOf(std::string_view space, std::string_view id) {
  std::string key;
  key.reserve(space.size() + 1 + id.size());
  key.append(space).append(1, '/').append(id);
  return key;
}

absl::Status NoSnapshotYet() {
  return absl::UnavailableError(
      "the functions are not known yet: the function-manager has not answered "
      "(function_manager.address)");
}

}  // namespace

FunctionRegistry::FunctionRegistry(Timers& timers, Forget forget)
    : timers_(timers), forget_(std::move(forget)) {
  for (auto& shard : shards_) shard.store(std::make_shared<const Map>());
}

FunctionRegistry::~FunctionRegistry() { EndWaits(); }

void FunctionRegistry::EndWaits() {
  std::list<Waiter> waiting;
  {
    const std::lock_guard lock(waiters_->mutex);
    waiting.swap(waiters_->list);
  }
  for (Waiter& waiter : waiting) {
    waiter.timer->Cancel();
    waiter.done(absl::UnavailableError("the executor is stopping"));
  }
}

std::size_t FunctionRegistry::ShardOf(const std::string& key) {
  // Other bits than those by which the map itself picks a bucket.
  return (std::hash<std::string>()(key) >> 48) % kShards;
}

std::shared_ptr<const FunctionSpec> FunctionRegistry::Find(std::string_view space,
                                                           std::string_view id) const {
  const std::string key = KeyOf(space, id);
  const std::shared_ptr<const Map> map = shards_[ShardOf(key)].load(std::memory_order_acquire);
  const auto found = map->find(key);
  return found == map->end() ? nullptr : found->second;
}

absl::Status FunctionRegistry::Ready() const {
  return ready_.load() ? absl::OkStatus() : NoSnapshotYet();
}

absl::Status FunctionRegistry::NotYet(std::int64_t min_revision) const {
  if (!ready_.load()) return NoSnapshotYet();
  return WithRetryAfter(
      absl::UnavailableError(fmt::format(
          "not yet at revision {} of the function-manager, but at {}", min_revision, revision())),
      absl::Seconds(1));
}

void FunctionRegistry::WaitFor(std::int64_t min_revision, Microseconds limit, WaitDone done) {
  {
    const std::lock_guard lock(waiters_->mutex);
    // Publish sets the revision before it takes this lock, so no wake-up is missed.
    if (!Has(min_revision) && limit > Microseconds(0)) {
      const auto at = waiters_->list.insert(waiters_->list.end(),
                                            Waiter{min_revision, std::move(done), nullptr});
      // Identity by timer: an iterator could dangle by the time that the task runs.
      auto expired = std::make_shared<std::weak_ptr<Timers::Handle>>();
      at->timer = timers_.RunAfter(
          limit, [this, waiters = std::weak_ptr<Waiters>(waiters_), expired, min_revision] {
            const auto alive = waiters.lock();
            if (!alive) return;
            WaitDone call;
            absl::Status status;
            {
              const std::lock_guard inner(alive->mutex);
              const auto timer = expired->lock();
              for (auto it = alive->list.begin(); it != alive->list.end(); ++it) {
                if (it->timer != timer) continue;
                call = std::move(it->done);
                status = NotYet(min_revision);
                alive->list.erase(it);
                break;
              }
            }
            if (call) call(status);
          });
      *expired = at->timer;
      return;
    }
  }
  done(Has(min_revision) ? absl::OkStatus() : NotYet(min_revision));
}

void FunctionRegistry::Publish(std::int64_t revision) {
  revision_.store(revision, std::memory_order_release);
  ready_.store(true);
  std::list<Waiter> woken;
  {
    const std::lock_guard lock(waiters_->mutex);
    for (auto it = waiters_->list.begin(); it != waiters_->list.end();) {
      const auto next = std::next(it);
      if (it->min_revision <= revision) woken.splice(woken.end(), waiters_->list, it);
      it = next;
    }
  }
  for (Waiter& waiter : woken) {
    waiter.timer->Cancel();
    waiter.done(absl::OkStatus());
  }
}

void FunctionRegistry::ForgetUpdate(const FunctionUpdate& update, const Map& before,
                                    const std::string& key) {
  if (!forget_) return;
  const auto old = before.find(key);
  if (old == before.end()) return;
  const FunctionSpec& spec = *old->second;
  if (update.spec != nullptr && update.spec->uid == spec.uid) {
    if (update.spec->version > spec.version) forget_(spec.uid, update.spec->version);
  } else {
    forget_(spec.uid, std::numeric_limits<std::int64_t>::max());
  }
}

void FunctionRegistry::ApplyChanges(std::vector<FunctionUpdate> changes, std::int64_t revision) {
  const std::lock_guard lock(change_mutex_);
  std::array<std::shared_ptr<Map>, kShards> changed;
  for (const FunctionUpdate& change : changes) {
    const std::string key = KeyOf(change.space, change.id);
    const std::size_t shard = ShardOf(key);
    if (!changed[shard]) changed[shard] = std::make_shared<Map>(*shards_[shard].load());
    ForgetUpdate(change, *changed[shard], key);
    if (change.spec != nullptr) {
      if (changed[shard]->insert_or_assign(key, change.spec).second) ++size_;
    } else if (changed[shard]->erase(key) != 0) {
      --size_;
    }
  }
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    if (changed[shard]) shards_[shard].store(std::move(changed[shard]), std::memory_order_release);
  }
  Publish(revision);
}

void FunctionRegistry::ApplySnapshot(std::vector<FunctionUpdate> functions, std::int64_t revision) {
  const std::lock_guard lock(change_mutex_);
  std::array<std::shared_ptr<Map>, kShards> fresh;
  for (auto& map : fresh) map = std::make_shared<Map>();
  std::size_t count = 0;
  for (FunctionUpdate& function : functions) {
    if (function.spec == nullptr) continue;
    std::string key = KeyOf(function.space, function.id);
    Map& map = *fresh[ShardOf(key)];
    if (map.insert_or_assign(std::move(key), std::move(function.spec)).second) ++count;
  }
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const std::shared_ptr<const Map> before = shards_[shard].load();
    for (const auto& [key, spec] : *before) {
      const auto now = fresh[shard]->find(key);
      FunctionUpdate update;
      if (now != fresh[shard]->end()) update.spec = now->second;
      ForgetUpdate(update, *before, key);
    }
    shards_[shard].store(std::move(fresh[shard]), std::memory_order_release);
  }
  size_.store(count);
  Publish(revision);
}

}  // namespace penstock::executor
