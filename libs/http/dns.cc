#include "libs/http/dns.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client.h"

namespace penstock::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kLookupsMax = 1024;
constexpr std::size_t kCacheMax = 1024;

bool IsNumeric(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

absl::Status DnsError(const std::string& host, const char* why) {
  return WithReason(absl::UnavailableError(fmt::format("cannot resolve \"{}\": {}", host, why)),
                    kDnsFailed);
}

absl::StatusOr<Dns::Addresses> GetAddresses(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    return DnsError(host, gai_strerror(error));
  }
  Dns::Addresses addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    const int error = getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof(text), nullptr, 0,
                                  NI_NUMERICHOST);
    const bool is_new =
        error == 0 && std::find(addresses.begin(), addresses.end(), text) == addresses.end();
    if (is_new) addresses.emplace_back(text);
  }
  freeaddrinfo(list);
  if (addresses.empty()) return DnsError(host, "no addresses");
  return addresses;
}

}  // namespace

Dns::Dns(EventLoops& loops, std::chrono::milliseconds cache_time, int threads, Lookup lookup)
    : loops_(loops),
      cache_time_(cache_time),
      lookup_(lookup ? std::move(lookup) : GetAddresses),
      workers_(
          {.name = "dns", .threads = static_cast<std::size_t>(threads), .queue_max = kLookupsMax}) {
}

Dns::~Dns() { Stop(); }

void Dns::Stop() {
  stopping_ = true;
  workers_.Stop();
}

void Dns::Resolve(int loop, const std::string& host, OnResolved on_resolved) {
  const auto answer = [&](absl::StatusOr<Addresses> result) {
    loops_.Post(loop, [on_resolved = std::move(on_resolved), result = std::move(result)]() mutable {
      on_resolved(std::move(result));
    });
  };
  if (IsNumeric(host)) return answer(Addresses{host});
  const std::lock_guard lock(mutex_);
  const auto cached = cache_.find(host);
  if (cached != cache_.end() && cached->second.expiry > SteadyClock::now()) {
    return answer(cached->second.addresses);
  }
  auto& waiting = waiting_[host];
  waiting.emplace_back(loop, std::move(on_resolved));
  if (waiting.size() > 1) return;
  if (workers_.TryPost([this, host] { Find(host); })) return;
  on_resolved = std::move(waiting.back().second);
  waiting_.erase(host);
  answer(DnsError(host, "too many lookups at once"));
}

void Dns::Find(const std::string& host) {
  Deliver(host, stopping_ ? DnsError(host, "the client stops") : lookup_(host));
}

void Dns::Deliver(const std::string& host, const absl::StatusOr<Addresses>& result) {
  std::vector<std::pair<int, OnResolved>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting = std::move(waiting_.extract(host).mapped());
    if (result.ok() && cache_time_.count() > 0) {
      if (cache_.size() >= kCacheMax) cache_.clear();
      cache_[host] = {SteadyClock::now() + cache_time_, *result};
    }
  }
  for (auto& [loop, on_resolved] : waiting) {
    loops_.Post(loop, [on_resolved = std::move(on_resolved), result]() mutable {
      on_resolved(std::move(result));
    });
  }
}

}  // namespace penstock::http
