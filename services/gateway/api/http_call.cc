#include "services/gateway/api/http_call.h"

#include <algorithm>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "libs/protojson/status_json.h"
#include "services/gateway/api/cors.h"

namespace penstock::gateway {
namespace {

constexpr char kRequestId[] = "X-Request-Id";
constexpr std::size_t kRequestIdMax = 128;

bool IsRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

void CallTracker::Begin() { running_.fetch_add(1, std::memory_order_relaxed); }

void CallTracker::End() {
  if (running_.fetch_sub(1) != 1 || !shutdown_->cancelled()) return;
  const std::lock_guard lock(mutex_);
  idle_.notify_all();
}

void CallTracker::CancelAndWait() {
  shutdown_->Cancel();
  std::unique_lock lock(mutex_);
  // The bounded wait covers an end between the check of the flag and the count.
  while (running_ != 0) idle_.wait_for(lock, std::chrono::milliseconds(10));
}

HttpCall::HttpCall(http::Request received, std::shared_ptr<http::Exchange> exchange,
                   const CallEnv& env, std::shared_ptr<const void> keeps)
    : request(std::move(received)),
      env_(env),
      keeps_(std::move(keeps)),
      exchange_(std::move(exchange)),
      start_(env.clock.Monotonic()) {
  env_.tracker.Begin();
}

HttpCall::~HttpCall() {
  if (cancellation_ != nullptr) env_.tracker.shutdown()->Unsubscribe(shutdown_id_);
  // An unanswered exchange answers 500 by itself.
  Count(500);
  // Before the tracker says that nothing runs any more.
  keeps_.reset();
  env_.tracker.End();
}

void HttpCall::Respond(http::Response response) {
  response.headers.Set(kRequestId, RequestId());
  if (guard_ != nullptr) AddCors(*guard_, request.headers, &response.headers);
  Count(response.status);
  exchange_->Respond(std::move(response));
}

void HttpCall::Fail(const absl::Status& error) { Respond(ErrorAnswer(error)); }

void HttpCall::StartStream(int status, http::Headers headers) {
  headers.Set(kRequestId, RequestId());
  if (guard_ != nullptr) AddCors(*guard_, request.headers, &headers);
  Count(status);
  exchange_->StartStream(status, std::move(headers));
}

const std::shared_ptr<rpc::Cancellation>& HttpCall::cancellation() {
  if (cancellation_ == nullptr) {
    cancellation_ = std::make_shared<rpc::Cancellation>();
    const std::weak_ptr<rpc::Cancellation> weak = cancellation_;
    const auto cancel = [weak] {
      if (const auto alive = weak.lock()) alive->Cancel();
    };
    shutdown_id_ = env_.tracker.shutdown()->Subscribe(cancel);
    exchange_->OnClosed(cancel);
  }
  return cancellation_;
}

void HttpCall::Count(int status) {
  if (counted_.exchange(true)) return;
  env_.metrics.Count(surface_, status, env_.clock.Monotonic() - start_);
}

std::string HttpCall::RequestId() const {
  const std::string_view given = request.headers.Get(kRequestId);
  return IsRequestId(given) ? std::string(given) : NewUuid();
}

http::Response ErrorAnswer(const absl::Status& error) {
  return ErrorAnswer(HttpStatusOf(error.code()), error);
}

http::Response ErrorAnswer(int http_status, const absl::Status& error) {
  http::Response response = http::Response::Json(http_status, protojson::StatusToJson(error));
  if (const absl::Duration delay = RetryAfterOf(error); delay > absl::ZeroDuration()) {
    const auto seconds = absl::ToInt64Seconds(absl::Ceil(delay, absl::Seconds(1)));
    response.headers.Set("Retry-After", std::to_string(seconds));
  }
  return response;
}

}  // namespace penstock::gateway
