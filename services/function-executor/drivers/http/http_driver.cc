#include "services/function-executor/drivers/http/http_driver.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "services/function-executor/drivers/http/http_answer.h"
#include "services/function-executor/drivers/http/http_request.h"
#include "services/function-executor/drivers/http/webhook_signature.h"

namespace penstock::executor {

// Lives until its `done` has run.
class HttpDriver::HttpCall final : public Driver::Call {
 public:
  void Cancel() override {
    std::shared_ptr<http::Cancelable> sent;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      sent = sent_;
    }
    if (sent) sent->Cancel();
  }

  void SetSent(std::shared_ptr<http::Cancelable> sent) {
    bool is_cancelled = false;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      sent_ = sent;
      is_cancelled = cancelled_;
    }
    if (is_cancelled) sent->Cancel();
  }

  // The handle and this object would keep each other alive.
  void OnEnded() {
    std::shared_ptr<http::Cancelable> sent;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    sent = std::move(sent_);
  }

 private:
  std::mutex mutex_;
  bool ended_ = false;
  bool cancelled_ = false;
  std::shared_ptr<http::Cancelable> sent_;
};

// The calls in flight.
class HttpDriver::State {
 public:
  // False when the driver has stopped.
  bool Add(const std::shared_ptr<HttpCall>& call) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    calls_.insert(call);
    return true;
  }

  void Remove(const std::shared_ptr<HttpCall>& call) {
    const std::lock_guard lock(mutex_);
    calls_.erase(call);
    if (calls_.empty()) empty_.notify_all();
  }

  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  void StopAndWait() {
    std::vector<std::shared_ptr<HttpCall>> calls;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      calls.assign(calls_.begin(), calls_.end());
    }
    for (const auto& call : calls) call->Cancel();
    std::unique_lock lock(mutex_);
    empty_.wait(lock, [this] { return calls_.empty(); });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  bool stopped_ = false;
  std::unordered_set<std::shared_ptr<HttpCall>> calls_;
};

namespace {

Outcome Failed(ErrorCategory category, const std::string& type, const std::string& message) {
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>();
  outcome.error = FunctionError{category, type, message, {}};
  return outcome;
}

Outcome Unavailable() {
  return Failed(ErrorCategory::kSystem, "Unavailable", "the executor is stopping");
}

}  // namespace

HttpDriver::HttpDriver(Options options, http::Client& client, const Clock& clock)
    : options_(options), client_(client), clock_(clock), state_(std::make_shared<State>()) {}

HttpDriver::~HttpDriver() { Stop(); }

std::shared_ptr<Driver::Call> HttpDriver::Start(Invocation invocation, Done done) {
  auto call = std::make_shared<HttpCall>();
  auto request = MakeHttpRequest(invocation);
  if (!request.ok()) {
    done(Failed(ErrorCategory::kInput, "InvalidPayload", std::string(request.status().message())));
    return call;
  }
  if (invocation.signing != nullptr) {
    const std::string& id =
        invocation.delivery_id.empty() ? invocation.execution_id : invocation.delivery_id;
    const absl::Status is_signed = SignWebhook(*invocation.signing, id, clock_.Wall(), &*request);
    if (!is_signed.ok()) {
      done(Failed(ErrorCategory::kSystem, "BadSigningKey", std::string(is_signed.message())));
      return call;
    }
  }
  if (!state_->Add(call)) {
    done(Unavailable());
    return call;
  }
  // Rounded up: a call must not end before its deadline, and zero would mean none at all.
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(invocation.deadline - clock_.Monotonic());
  request->timeout = std::max(left, std::chrono::milliseconds(1));
  request->connect_timeout = std::min(options_.connect_timeout, request->timeout);
  request->response_bytes_max = options_.answer_bytes_max;
  call->SetSent(client_.Send(
      *std::move(request),
      [state = state_, call, done = std::move(done), trigger = invocation.trigger,
       &clock = clock_](absl::StatusOr<http::ClientResponse> response) {
        Outcome outcome;
        if (response.ok()) {
          outcome = ReadHttpAnswer(*std::move(response), trigger, clock.Wall());
        } else {
          const bool is_stop =
              response.status().code() == absl::StatusCode::kCancelled && state->stopped();
          outcome = is_stop ? Unavailable() : ReadHttpFailure(response.status());
        }
        call->OnEnded();
        done(std::move(outcome));
        state->Remove(call);
      }));
  return call;
}

void HttpDriver::Forget(const std::string& /*uid*/, std::int64_t /*version*/) {}

void HttpDriver::Stop() { state_->StopAndWait(); }

}  // namespace penstock::executor
