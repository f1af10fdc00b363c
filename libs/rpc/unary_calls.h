// Unary calls to one service that end with their owner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/cancellation.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/unary_call.h"

namespace penstock::rpc {

struct UnaryCallsOptions {
  // "host:port" or "inproc:service".
  std::string address;
  // Who is there and which setting says where, for errors: "the event-broker",
  // "event_broker.address".
  std::string peer;
  std::string setting;
  // Long enough to find a service again that was just restarted: calls wait for its connection.
  std::chrono::milliseconds timeout{5'000};
  std::shared_ptr<const PeerAuth> peer_auth;
};

// Connects at first use. Thread-safe.
class UnaryCalls {
 public:
  explicit UnaryCalls(UnaryCallsOptions options);
  // Stops as Stop() does.
  ~UnaryCalls();
  UnaryCalls(const UnaryCalls&) = delete;
  UnaryCalls& operator=(const UnaryCalls&) = delete;

  // Calls `done` once: on a callback thread, or before it returns when there is no call. Where the
  // service does not answer in time it is UNAVAILABLE, naming its address.
  template <typename Response, typename Request>
  void Call(const std::string& method, Request request,
            std::function<void(absl::StatusOr<Response>)> done) {
    const auto channel = channel_.Get();
    if (!channel.ok()) return done(Unreachable(channel.status()));
    if (const absl::Status begun = Begin(); !begun.ok()) return done(begun);
    CallOptions options;
    options.timeout = options_.timeout;
    options.wait_for_ready = true;
    options.peer_auth = options_.peer_auth;
    options.cancellation = cancellation_;
    CallUnary<Response>(
        *channel, method, std::move(request), options,
        [this, done = std::move(done)](absl::StatusOr<Response> response, const ResponseMetadata&) {
          const bool is_away = absl::IsDeadlineExceeded(response.status());
          is_away ? done(Unreachable(response.status())) : done(std::move(response));
          End();
        });
  }

  // Refuses new calls, and cancels and waits for those under way. Idempotent, blocks.
  void Stop();

 private:
  absl::Status Begin();
  void End();
  absl::Status Unreachable(const absl::Status& status) const;

  const UnaryCallsOptions options_;
  LazyChannel channel_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;       // Guarded by mutex_.
  bool stopped_ = false;  // Guarded by mutex_.
};

}  // namespace penstock::rpc
