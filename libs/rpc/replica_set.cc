#include "libs/rpc/replica_set.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/rpc/inproc_registry.h"

namespace penstock::rpc {
namespace {

constexpr std::string_view kInproc = "inproc:";

std::string Numeric(const addrinfo& info, std::string_view port) {
  char host[NI_MAXHOST];
  if (getnameinfo(info.ai_addr, info.ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) !=
      0) {
    return {};
  }
  return info.ai_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                    : fmt::format("{}:{}", host, port);
}

// Tells a server of this process from the one that had its name before; 0 for network addresses.
std::uint64_t GenerationOf(std::string_view address) {
  if (!address.starts_with(kInproc)) return 0;
  return InprocRegistry::Get().Generation(address.substr(kInproc.size()));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ResolveReplicas(const std::string& target) {
  AssertMayBlock("name resolution");
  RETURN_IF_ERROR(CheckAddress("address", target));
  std::string_view name = target;
  if (name.starts_with(kInproc)) {
    if (GenerationOf(target) == 0) {
      return absl::NotFoundError(
          fmt::format("no server named {} runs in this process", name.substr(kInproc.size())));
    }
    return std::vector<std::string>{target};
  }
  if (name.starts_with("dns:")) name.remove_prefix(name.find_first_not_of('/', 4));
  const std::size_t colon = name.rfind(':');
  std::string host(name.substr(0, colon));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const std::string_view port = name.substr(colon + 1);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) {
    return absl::UnavailableError(fmt::format("cannot resolve {}: {}", host, gai_strerror(code)));
  }
  std::set<std::string> addresses;
  // A name that has both families usually names each server twice: one family only.
  const bool has_ipv4 = [&] {
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
      if (info->ai_family == AF_INET) return true;
    }
    return false;
  }();
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (has_ipv4 && info->ai_family != AF_INET) continue;
    if (std::string address = Numeric(*info, port); !address.empty()) addresses.insert(address);
  }
  freeaddrinfo(found);
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

ReplicaSet::ReplicaSet(Options options) : options_(std::move(options)) {}
ReplicaSet::~ReplicaSet() { Stop(); }

void ReplicaSet::Start() {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void ReplicaSet::Stop() {
  AssertMayBlock("replica set stop");
  const std::lock_guard stop_lock(stop_mutex_);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ReplicaSet::Run() {
  pthread_setname_np(pthread_self(), "replicas");
  while (true) {
    ResolveOnce();
    std::unique_lock lock(mutex_);
    const auto pause = entries_.empty() ? options_.retry_interval : options_.resolve_interval;
    wake_.wait_for(lock, pause, [this] { return stopping_ || refresh_; });
    if (stopping_) return;
    refresh_ = false;
  }
}

void ReplicaSet::ResolveOnce() {
  absl::StatusOr<std::vector<std::string>> addresses = options_.resolver(options_.target);
  if (addresses.ok() && addresses->empty()) {
    addresses = absl::UnavailableError(fmt::format("{} has no addresses", options_.target));
  }
  {
    const std::lock_guard lock(mutex_);
    last_error_ = addresses.status();
    if (stopping_) return;
  }
  if (addresses.ok()) {
    Update(*addresses);
  } else if (absl::IsNotFound(addresses.status())) {
    Update({});
  }
}

// Runs on the set's thread only, so that nobody else adds or removes entries meanwhile.
void ReplicaSet::Update(const std::vector<std::string>& addresses) {
  std::vector<Replica> removed;
  std::vector<Replica> added;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      const bool listed =
          std::find(addresses.begin(), addresses.end(), it->first) != addresses.end();
      if (!listed || it->second.generation != GenerationOf(it->first)) {
        removed.push_back(std::move(it->second.replica));
        it = entries_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (const std::string& address : addresses) {
    {
      const std::lock_guard lock(mutex_);
      if (entries_.contains(address)) continue;
    }
    const std::uint64_t generation = GenerationOf(address);
    auto channel = MakeChannel(address, options_.channel);
    const std::lock_guard lock(mutex_);
    if (!channel.ok()) {
      last_error_ = channel.status();
      continue;
    }
    added.push_back({address, *std::move(channel)});
    entries_.emplace(address, Entry{.replica = added.back(), .generation = generation});
  }
  for (const Replica& replica : removed) {
    if (options_.on_removed) options_.on_removed(replica);
  }
  for (const Replica& replica : added) {
    if (options_.on_added) options_.on_added(replica);
  }
}

void ReplicaSet::SetCredit(const std::string& address, std::int64_t credit) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found != entries_.end()) found->second.credit = credit;
}

std::optional<Replica> ReplicaSet::Pick() {
  const std::lock_guard lock(mutex_);
  Entry* best = nullptr;
  for (auto& [address, entry] : entries_) {
    if (entry.credit <= 0) continue;
    if (best == nullptr || entry.credit > best->credit ||
        (entry.credit == best->credit && entry.picked < best->picked)) {
      best = &entry;
    }
  }
  if (best == nullptr) return std::nullopt;
  best->picked = ++turn_;
  return best->replica;
}

std::vector<Replica> ReplicaSet::replicas() const {
  const std::lock_guard lock(mutex_);
  std::vector<Replica> all;
  for (const auto& [address, entry] : entries_) all.push_back(entry.replica);
  return all;
}

bool ReplicaSet::ready() const {
  const std::lock_guard lock(mutex_);
  return !entries_.empty();
}

absl::Status ReplicaSet::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void ReplicaSet::Refresh() {
  {
    const std::lock_guard lock(mutex_);
    refresh_ = true;
  }
  wake_.notify_all();
}

}  // namespace penstock::rpc
