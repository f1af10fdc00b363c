// One HTTP request from its arrival to its answer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "libs/rpc/cancellation.h"
#include "services/gateway/api/http_metrics.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// Knows how many requests are being answered, so that a stop can end them. Thread-safe.
class CallTracker {
 public:
  // Cancels what runs and everything that comes, then waits until nothing runs. The loops must
  // still run.
  void CancelAndWait();

  const std::shared_ptr<rpc::Cancellation>& shutdown() const { return shutdown_; }
  // Set when the stop begins: answers that would not end by themselves end now.
  const std::shared_ptr<rpc::Cancellation>& draining() const { return draining_; }

 private:
  friend class HttpCall;

  void Begin();
  void End();

  const std::shared_ptr<rpc::Cancellation> shutdown_ = std::make_shared<rpc::Cancellation>();
  const std::shared_ptr<rpc::Cancellation> draining_ = std::make_shared<rpc::Cancellation>();
  std::atomic<std::int64_t> running_{0};
  std::mutex mutex_;
  std::condition_variable idle_;
};

// What all calls of a gateway use; outlives them.
struct CallEnv {
  http::EventLoops& loops;
  const Clock& clock;
  HttpMetrics& metrics;
  CallTracker& tracker;
};

// Shared by whoever works on the request. The first answer counts. Thread-safe but for `request`,
// which belongs to the surface that handles it.
class HttpCall : public std::enable_shared_from_this<HttpCall> {
 public:
  // `keeps` is held until the last user of the call is gone: what the surfaces that work on it are
  // part of, so that a reload does not take it away.
  HttpCall(http::Request received, std::shared_ptr<http::Exchange> exchange, const CallEnv& env,
           std::shared_ptr<const void> keeps = nullptr);
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  http::Request request;
  // The authenticated caller; empty without authentication.
  std::string principal;

  // Who knows whose pages may read the answer; without it those of this origin. Must outlive the
  // call, which the keeper sees to.
  void set_guard(const WebGuard& guard) { guard_ = &guard; }

  // The surface that the request is counted under.
  void set_surface(Surface surface) { surface_ = surface; }

  const CallEnv& env() const { return env_; }
  int loop() const { return exchange_->loop(); }
  // Runs `task` on the request's loop.
  void Post(http::EventLoops::Task task) { env_.loops.Post(loop(), std::move(task)); }

  // The same, at once where this is the loop.
  void RunOnLoop(http::EventLoops::Task task) {
    if (env_.loops.CurrentLoop() != loop()) return Post(std::move(task));
    task();
  }

  // Sends the answer with X-Request-Id added.
  void Respond(http::Response response);
  // Answers with the error as google.rpc.Status.
  void Fail(const absl::Status& error);

  // Starts an answer whose body follows on exchange().
  void StartStream(int status, http::Headers headers);
  http::Exchange& exchange() { return *exchange_; }
  // For an answer that is not sent through this object.
  void CountStatus(int status) { Count(status); }
  // What the client gave as X-Request-Id, else a new one at each call.
  std::string RequestId() const;

  // Set when the client went away or the gateway stops. To be asked for on the request's loop.
  const std::shared_ptr<rpc::Cancellation>& cancellation();

 private:
  void Count(int status);

  const CallEnv& env_;
  std::shared_ptr<const void> keeps_;
  const WebGuard* guard_ = nullptr;
  const std::shared_ptr<http::Exchange> exchange_;
  const MonotonicTime start_;
  Surface surface_ = Surface::kOther;
  std::atomic<bool> counted_{false};
  std::shared_ptr<rpc::Cancellation> cancellation_;
  std::uint64_t shutdown_id_ = 0;
};

// The error as google.rpc.Status in JSON, with Retry-After where the error has a delay.
http::Response ErrorAnswer(const absl::Status& error);
// The same with an HTTP status that its code does not have by itself.
http::Response ErrorAnswer(int http_status, const absl::Status& error);

}  // namespace penstock::gateway
