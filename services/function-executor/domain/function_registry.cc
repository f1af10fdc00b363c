#include "services/function-executor/domain/function_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
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

constexpr std::uint64_t kWholePercent = 100;

// Spreads the bits of a number evenly (the finaliser of SplitMix64).
std::uint64_t Mix(std::uint64_t number) {
  number += 0x9E37'79B9'7F4A'7C15;
  number = (number ^ (number >> 30)) * 0xBF58'476D'1CE4'E5B9;
  number = (number ^ (number >> 27)) * 0x94D0'49BB'1331'11EB;
  return number ^ (number >> 31);
}

// FNV-1a: the same on every executor, whatever its library.
std::uint64_t HashOf(std::string_view uid, std::string_view key) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const std::string_view part : {uid, key}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01B3;
  }
  return hash;
}

// Who has a share of the calls has it at the same place for every draw, so a key stays where it is
// while the weights stand.
const std::string& Pick(const WeightedTarget& weighted, std::uint64_t number) {
  std::uint64_t all = 0;
  for (const WeightedTarget::Share& share : weighted.shares) {
    all += static_cast<std::uint64_t>(share.weight);
  }
  std::uint64_t place = number % std::max<std::uint64_t>(all, 1);
  for (const WeightedTarget::Share& share : weighted.shares) {
    const auto weight = static_cast<std::uint64_t>(share.weight);
    if (place < weight) return share.function;
    place -= weight;
  }
  return weighted.shares.front().function;
}

absl::Status NoSigningSecret(std::string_view function, const std::string& secret) {
  return absl::NotFoundError(
      fmt::format("the secret {} that signs for function {} does not exist or cannot be read",
                  secret, function));
}

}  // namespace

// A function with the versions that can be called. Never changed once it is in a map.
struct FunctionRegistry::Entry {
  std::string uid;
  std::int64_t newest = 0;  // 0 while only older versions were announced.
  std::map<std::int64_t, std::shared_ptr<const FunctionSpec>> versions;
  std::vector<TrafficShare> traffic;
  std::map<std::string, std::int64_t> aliases;
  // What each version that names secrets is given: those and no others.
  std::map<std::int64_t, std::shared_ptr<const Secrets>> secrets_of;
  // Those that sign for any version; null for none.
  std::shared_ptr<const Secrets> signing;
  std::vector<StepSpec> space_middleware;
  // Of the versions that have any.
  std::map<std::int64_t, std::shared_ptr<const Chain>> chains;

  void ShareSecrets(const std::shared_ptr<const Secrets>& all) {
    secrets_of.clear();
    signing = nullptr;
    if (all == nullptr) return;
    Secrets signs;
    const auto take = [&](const std::string& id, Secrets& into) {
      if (const auto found = all->find(id); found != all->end()) into.insert(*found);
    };
    for (const auto& [version, spec] : versions) {
      Secrets named;
      for (const std::string& id : spec->secrets) take(id, named);
      if (const auto* http = std::get_if<HttpTarget>(&spec->target)) {
        take(http->signing_secret, signs);
      }
      take(spec->async.callback_signing_secret, signs);
      if (!named.empty()) secrets_of[version] = std::make_shared<const Secrets>(std::move(named));
    }
    if (!signs.empty()) signing = std::make_shared<const Secrets>(std::move(signs));
  }

  absl::StatusOr<std::shared_ptr<const SecretValues>> SigningSecret(
      std::string_view id, const std::string& secret) const {
    if (signing != nullptr) {
      const auto found = signing->find(secret);
      if (found != signing->end())
        return std::shared_ptr<const SecretValues>(signing, &found->second);
    }
    return NoSigningSecret(id, secret);
  }

  std::shared_ptr<const FunctionSpec> Find(std::int64_t version) const {
    const auto found = versions.find(version);
    return found == versions.end() ? nullptr : found->second;
  }

  // The version that a tag stands for; 0 when there is none.
  std::int64_t VersionOf(std::string_view tag) const {
    if (const auto alias = aliases.find(std::string(tag)); alias != aliases.end()) {
      return alias->second;
    }
    std::int64_t version = 0;
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), version);
    return error == std::errc() && end == tag.data() + tag.size() ? version : 0;
  }

  // `place` is 0 to 99.
  std::int64_t PickVersion(int place) const {
    for (const TrafficShare& share : traffic) {
      if (place < share.percent) return share.version;
      place -= share.percent;
    }
    return newest;
  }

  // The lowest version that calls by the name or an alias reach.
  std::int64_t LowestReached() const {
    std::int64_t lowest = traffic.empty() ? newest : std::numeric_limits<std::int64_t>::max();
    for (const TrafficShare& share : traffic) lowest = std::min(lowest, share.version);
    for (const auto& [name, version] : aliases) lowest = std::min(lowest, version);
    return lowest;
  }

  std::vector<std::shared_ptr<const FunctionSpec>> Reached() const {
    std::set<std::int64_t> numbers;
    if (traffic.empty()) numbers.insert(newest);
    for (const TrafficShare& share : traffic) numbers.insert(share.version);
    for (const auto& [name, version] : aliases) numbers.insert(version);
    std::vector<std::shared_ptr<const FunctionSpec>> specs;
    for (const std::int64_t version : numbers) {
      if (auto spec = Find(version)) specs.push_back(std::move(spec));
    }
    return specs;
  }

  bool KeepsWorkers() const {
    return std::any_of(versions.begin(), versions.end(), [](const auto& version) {
      const auto* process = std::get_if<ProcessTarget>(&version.second->target);
      return process != nullptr && process->workers_min > 0;
    });
  }

  absl::Status NothingFor(const FunctionChoice& choice) const {
    const std::string name = fmt::format("spaces/{}/functions/{}", choice.space, choice.id);
    std::string known;
    for (const auto& [version, spec] : versions) known += fmt::format(" {}", version);
    for (const auto& [alias, version] : aliases) known += fmt::format(" {}", alias);
    if (choice.tag.empty()) {
      return absl::UnavailableError(
          fmt::format("function {} is not known completely: its traffic names a version beside{}",
                      name, known));
    }
    return absl::NotFoundError(fmt::format("function {} has no version or alias \"{}\"; it has{}",
                                           name, choice.tag, known));
  }
};

FunctionRegistry::FunctionRegistry(Timers& timers, Forget forget, Keep keep, MakeChain make_chain)
    : timers_(timers),
      forget_(std::move(forget)),
      keep_(std::move(keep)),
      make_chain_(std::move(make_chain)) {
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

std::shared_ptr<const FunctionRegistry::Entry> FunctionRegistry::FindEntry(
    std::string_view space, std::string_view id) const {
  const std::string key = KeyOf(space, id);
  const std::shared_ptr<const Map> map = shards_[ShardOf(key)].load(std::memory_order_acquire);
  const auto found = map->find(key);
  return found == map->end() ? nullptr : found->second;
}

std::shared_ptr<const FunctionSpec> FunctionRegistry::Find(std::string_view space,
                                                           std::string_view id) const {
  const std::shared_ptr<const Entry> entry = FindEntry(space, id);
  return entry == nullptr ? nullptr : entry->Find(entry->newest);
}

absl::StatusOr<ResolvedFunction> FunctionRegistry::Resolve(const FunctionChoice& choice) const {
  ASSIGN_OR_RETURN(ResolvedFunction asked, ResolveOne(choice));
  const auto* weighted = std::get_if<WeightedTarget>(&asked.spec->target);
  if (weighted == nullptr) return asked;
  const std::string& id = Pick(*weighted, Draw(asked.spec->uid, choice.sticky_key));
  ASSIGN_OR_RETURN(ResolvedFunction chosen, ResolveOne({choice.space, id, {}, choice.sticky_key}));
  if (std::holds_alternative<WeightedTarget>(chosen.spec->target)) {
    return absl::FailedPreconditionError(
        fmt::format("function {} names {}, which is weighted itself", choice.id, id));
  }
  chosen.split = std::move(asked.spec);
  return chosen;
}

std::uint64_t FunctionRegistry::Draw(std::string_view uid, std::string_view sticky_key) const {
  return Mix(sticky_key.empty() ? calls_.fetch_add(1, std::memory_order_relaxed)
                                : HashOf(uid, sticky_key));
}

absl::StatusOr<ResolvedFunction> FunctionRegistry::ResolveOne(const FunctionChoice& choice) const {
  const std::shared_ptr<const Entry> entry = FindEntry(choice.space, choice.id);
  if (entry == nullptr || entry->newest == 0) {
    return absl::NotFoundError(
        fmt::format("there is no function spaces/{}/functions/{}", choice.space, choice.id));
  }
  std::int64_t version = entry->newest;
  if (!choice.tag.empty()) {
    version = entry->VersionOf(choice.tag);
  } else if (!entry->traffic.empty()) {
    version =
        entry->PickVersion(static_cast<int>(Draw(entry->uid, choice.sticky_key) % kWholePercent));
  }
  ResolvedFunction resolved;
  resolved.spec = entry->Find(version);
  if (resolved.spec == nullptr) return entry->NothingFor(choice);
  if (!entry->chains.empty()) {
    const auto chain = entry->chains.find(version);
    if (chain != entry->chains.end()) resolved.chain = chain->second;
  }
  const auto* const http = std::get_if<HttpTarget>(&resolved.spec->target);
  if (http != nullptr && !http->signing_secret.empty()) {
    ASSIGN_OR_RETURN(resolved.signing, entry->SigningSecret(choice.id, http->signing_secret));
  }
  if (resolved.spec->secrets.empty()) return resolved;
  const auto secrets = entry->secrets_of.find(version);
  if (secrets != entry->secrets_of.end()) resolved.secrets = secrets->second;
  for (const std::string& id : resolved.spec->secrets) {
    if (resolved.secrets != nullptr && resolved.secrets->contains(id)) continue;
    return absl::NotFoundError(
        fmt::format("function {} (version {}) names the secret {}, which does not exist or cannot "
                    "be read",
                    choice.id, version, id));
  }
  return resolved;
}

absl::StatusOr<std::shared_ptr<const SecretValues>> FunctionRegistry::SigningSecret(
    std::string_view space, std::string_view id, const std::string& secret) const {
  const std::shared_ptr<const Entry> entry = FindEntry(space, id);
  return entry == nullptr ? NoSigningSecret(id, secret) : entry->SigningSecret(id, secret);
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

void FunctionRegistry::MakeChains(const Entry* before, Entry* entry) const {
  entry->chains.clear();
  if (!make_chain_) return;
  const bool is_same_space =
      before != nullptr && before->space_middleware == entry->space_middleware;
  for (const auto& [version, spec] : entry->versions) {
    std::shared_ptr<const Chain> chain;
    const auto known = is_same_space ? before->Find(version) : nullptr;
    // A version never changes, so its chain is made once, whatever becomes of the traffic.
    if (known != nullptr && known->middleware == spec->middleware) {
      const auto made = before->chains.find(version);
      if (made != before->chains.end()) chain = made->second;
    } else {
      chain = make_chain_(entry->space_middleware, *spec);
    }
    if (chain != nullptr) entry->chains.emplace(version, std::move(chain));
  }
}

void FunctionRegistry::Apply(const FunctionUpdate& update, const std::string& key,
                             const Entry* known, Map* map) const {
  const auto found = map->find(key);
  const Entry* const before =
      found == map->end() || found->second->uid != update.uid ? nullptr : found->second.get();
  if (update.spec == nullptr && !update.is_older_version) {
    if (found != map->end()) map->erase(found);
    return;
  }
  auto entry = before == nullptr ? std::make_shared<Entry>() : std::make_shared<Entry>(*before);
  entry->uid = update.uid;
  if (update.spec != nullptr) entry->versions.insert_or_assign(update.version, update.spec);
  if (!update.is_older_version) {
    entry->newest = update.version;
    entry->traffic = update.traffic;
    // The newest first, whatever the order in which they were given: who has a key stays with a
    // canary when its share grows.
    std::sort(entry->traffic.begin(), entry->traffic.end(),
              [](const auto& a, const auto& b) { return a.version > b.version; });
    entry->aliases = update.aliases;
    std::erase_if(entry->versions, [&](const auto& version) {
      return version.first != update.version &&
             std::find(update.kept.begin(), update.kept.end(), version.first) == update.kept.end();
    });
    entry->ShareSecrets(update.secrets);
    entry->space_middleware = update.space_middleware;
    MakeChains(known != nullptr && known->uid == entry->uid ? known : nullptr, entry.get());
  }
  map->insert_or_assign(key, std::move(entry));
}

void FunctionRegistry::ForgetReplaced(const Entry* before, const Entry* after) const {
  if (!forget_ || before == nullptr) return;
  if (after == nullptr || after->uid != before->uid) {
    return forget_(before->uid, std::numeric_limits<std::int64_t>::max());
  }
  if (after->LowestReached() > before->LowestReached()) {
    forget_(after->uid, after->LowestReached());
  }
}

void FunctionRegistry::KeepReached(const Entry* before, const Entry* after) const {
  if (!keep_) return;
  if (before != nullptr && before->KeepsWorkers() &&
      (after == nullptr || after->uid != before->uid)) {
    keep_(before->uid, {});
  }
  if (after == nullptr || after->newest == 0) return;
  if (after->KeepsWorkers() || (before != nullptr && before->KeepsWorkers())) {
    keep_(after->uid, after->Reached());
  }
}

void FunctionRegistry::ApplyChanges(std::vector<FunctionUpdate> changes, std::int64_t revision) {
  const std::lock_guard lock(change_mutex_);
  std::array<std::shared_ptr<Map>, kShards> changed;
  for (const FunctionUpdate& change : changes) {
    const std::string key = KeyOf(change.space, change.id);
    const std::size_t shard = ShardOf(key);
    if (!changed[shard]) changed[shard] = std::make_shared<Map>(*shards_[shard].load());
    Map& map = *changed[shard];
    const auto entry_of = [&map, &key]() -> std::shared_ptr<const Entry> {
      const auto found = map.find(key);
      return found == map.end() ? nullptr : found->second;
    };
    const std::shared_ptr<const Entry> before = entry_of();
    Apply(change, key, before.get(), &map);
    const std::shared_ptr<const Entry> after = entry_of();
    if (after != nullptr && before == nullptr) ++size_;
    if (after == nullptr && before != nullptr) --size_;
    ForgetReplaced(before.get(), after.get());
    KeepReached(before.get(), after.get());
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
  for (const FunctionUpdate& function : functions) {
    const std::string key = KeyOf(function.space, function.id);
    const std::size_t shard = ShardOf(key);
    const std::shared_ptr<const Map> before = shards_[shard].load();
    const auto known = before->find(key);
    Apply(function, key, known == before->end() ? nullptr : known->second.get(),
          fresh[shard].get());
  }
  std::size_t count = 0;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const std::shared_ptr<const Map> before = shards_[shard].load();
    for (const auto& [key, entry] : *before) {
      const auto now = fresh[shard]->find(key);
      const Entry* const after = now == fresh[shard]->end() ? nullptr : now->second.get();
      ForgetReplaced(entry.get(), after);
      if (after == nullptr) KeepReached(entry.get(), nullptr);
    }
    for (const auto& [key, entry] : *fresh[shard]) {
      const auto known = before->find(key);
      KeepReached(known == before->end() ? nullptr : known->second.get(), entry.get());
    }
    count += fresh[shard]->size();
    shards_[shard].store(std::move(fresh[shard]), std::memory_order_release);
  }
  size_.store(count);
  Publish(revision);
}

}  // namespace penstock::executor
