// Name resolution that does not hold up a loop, nor one name another.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "libs/http/event_loops.h"

namespace penstock::http {

// Resolves names with getaddrinfo on a few threads of its own, one lookup a name at a time.
// Thread-safe.
class Dns {
 public:
  // Numeric addresses in the resolver's order, never empty.
  using Addresses = std::vector<std::string>;
  using OnResolved = absl::AnyInvocable<void(absl::StatusOr<Addresses>)>;

  // Looks up a name that is not numeric; may block.
  using Lookup = std::function<absl::StatusOr<Addresses>(const std::string& host)>;

  // Answers are reused for `cache_time`; `threads` names are looked up at a time. `loops` must
  // outlive this object. Without `lookup` the system's resolver is asked.
  Dns(EventLoops& loops, std::chrono::milliseconds cache_time, int threads = 4,
      Lookup lookup = nullptr);
  // Waits for lookups that run.
  ~Dns();

  // Calls `on_resolved` on loop `loop`, never inside this call. Numeric hosts come back as they
  // are. Failures are UNAVAILABLE with reason DNS_FAILED.
  void Resolve(int loop, const std::string& host, OnResolved on_resolved);

  // Refuses further lookups and waits for those that run. Idempotent. Not from a loop.
  void Stop();

 private:
  struct Entry {
    std::chrono::steady_clock::time_point expiry;
    Addresses addresses;
  };

  void Find(const std::string& host);
  void Deliver(const std::string& host, const absl::StatusOr<Addresses>& result);

  EventLoops& loops_;
  const std::chrono::milliseconds cache_time_;
  const Lookup lookup_;
  std::mutex mutex_;
  std::map<std::string, Entry> cache_;
  std::map<std::string, std::vector<std::pair<int, OnResolved>>> waiting_;
  std::atomic<bool> stopping_{false};
  WorkerPool workers_;
};

}  // namespace penstock::http
