#include "services/event-broker/invoker/executor_stream.h"

#include <penstock/internal/v1/invocation.pb.h>

#include <algorithm>

#include "libs/rpc/bidi_client.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::internal::v1;

constexpr std::size_t kOrdersPerMessage = 256;
constexpr std::size_t kBytesPerMessage = 512u << 10;

DeliveryOutcome FromProto(pb::InvocationResult::Outcome outcome) {
  switch (outcome) {
    case pb::InvocationResult::SUCCEEDED: return DeliveryOutcome::kSucceeded;
    case pb::InvocationResult::PERMANENT: return DeliveryOutcome::kPermanent;
    case pb::InvocationResult::REJECTED: return DeliveryOutcome::kRejected;
    default: return DeliveryOutcome::kRetryable;
  }
}

Microseconds ToMicros(const google::protobuf::Duration& duration) {
  return Microseconds(duration.seconds() * 1'000'000 + duration.nanos() / 1'000);
}

void SetMicros(Microseconds value, google::protobuf::Duration* duration) {
  duration->set_seconds(value.count() / 1'000'000);
  duration->set_nanos(static_cast<int>(value.count() % 1'000'000 * 1'000));
}

std::optional<DeliveryKey> ParseKey(const std::string& id) {
  const std::size_t dash = id.rfind('-');
  if (dash == std::string::npos) return std::nullopt;
  return DeliveryKey{id.substr(0, dash), std::strtoull(id.c_str() + dash + 1, nullptr, 10)};
}

void Fill(const InvocationOrder& order, pb::Invocation& message) {
  message.set_delivery_id(order.key.Id());
  message.set_attempt(order.attempt);
  message.set_epoch(order.epoch);
  message.set_function(order.function);
  message.set_subscription(order.subscription);
  if (order.timeout) SetMicros(*order.timeout, message.mutable_timeout());
  message.set_min_function_revision(order.function_revision_min);
  message.set_event(order.event.view().data(), order.event.size());
  message.set_traceparent(order.traceparent);
  message.set_sequence(static_cast<std::int64_t>(order.key.sequence));
}

DeliveryResult MakeResult(DeliveryKey key, int attempt, DeliveryOutcome outcome,
                          std::string message) {
  DeliveryResult result;
  result.key = std::move(key);
  result.attempt = attempt;
  result.outcome = outcome;
  result.error = {"SystemError", "ExecutorLost", std::move(message)};
  return result;
}

}  // namespace

// The gRPC side, so that the header needs no generated code.
class ExecutorStream::Call {
 public:
  using Client = rpc::BidiClient<pb::InvokeStreamRequest, pb::InvokeStreamResponse>;

  static void Open(const std::shared_ptr<ExecutorStream>& stream, const rpc::Replica& replica,
                   std::shared_ptr<const rpc::PeerAuth> auth) {
    auto call = std::make_shared<Call>();
    {
      const std::lock_guard lock(stream->mutex_);
      stream->call_ = call;
    }
    rpc::CallOptions options;
    options.peer_auth = std::move(auth);
    auto client = Client::Start(
        replica.channel, "/penstock.internal.v1.InvocationService/InvokeStream", options,
        {
            .fill = [stream](pb::InvokeStreamRequest& message) { return Fill(*stream, message); },
            .on_message =
                [stream](pb::InvokeStreamResponse& message) { OnMessage(*stream, message); },
            .on_done = [stream](const absl::Status& status,
                                const rpc::ResponseMetadata&) { stream->OnEnd(status); },
        });
    const std::lock_guard lock(call->mutex_);
    call->client_ = std::move(client);
    if (call->cancelled_) call->client_->Cancel();
  }

  void Notify() {
    if (const auto client = Get()) client->Notify();
  }
  void Cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (client_) client_->Cancel();
  }

 private:
  std::shared_ptr<Client> Get() {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  static bool Fill(ExecutorStream& stream, pb::InvokeStreamRequest& message) {
    const std::lock_guard lock(stream.mutex_);
    std::size_t bytes = 0;
    const auto now = std::chrono::steady_clock::now();
    while (!stream.waiting_.empty() &&
           static_cast<std::size_t>(message.invocations_size()) < kOrdersPerMessage) {
      const InvocationOrder& order = stream.waiting_.front();
      if (bytes > 0 && bytes + order.event.size() > kBytesPerMessage) break;
      bytes += order.event.size() + 1;
      broker::Fill(order, *message.add_invocations());
      stream.sent_.emplace(AttemptId{order.key, order.attempt}, now);
      stream.waiting_.pop_front();
    }
    while (!stream.cancels_.empty()) {
      auto* cancel = message.add_cancels();
      cancel->set_delivery_id(stream.cancels_.front().first.Id());
      cancel->set_attempt(stream.cancels_.front().second);
      stream.cancels_.pop_front();
    }
    return message.invocations_size() + message.cancels_size() > 0;
  }

  static void OnMessage(ExecutorStream& stream, const pb::InvokeStreamResponse& message) {
    std::vector<DeliveryResult> results;
    bool credit_changed = false;
    {
      const std::lock_guard lock(stream.mutex_);
      for (const pb::InvocationResult& result : message.results()) {
        auto key = ParseKey(result.delivery_id());
        if (!key || stream.sent_.erase({*key, result.attempt()}) == 0) continue;
        results.push_back(Convert(*std::move(key), result));
      }
      if (message.credit() > 0) {
        stream.credit_ = static_cast<std::size_t>(message.credit());
        credit_changed = true;
      }
      if (message.draining() && !stream.draining_) {
        stream.draining_ = true;
        credit_changed = true;
      }
    }
    if (!results.empty()) stream.listener_.on_results(std::move(results));
    if (credit_changed) stream.listener_.on_credit();
  }

  static DeliveryResult Convert(DeliveryKey key, const pb::InvocationResult& message) {
    DeliveryResult result;
    result.key = std::move(key);
    result.attempt = message.attempt();
    result.outcome = FromProto(message.outcome());
    result.error = {message.error().category(), message.error().type(), message.error().message()};
    if (message.has_retry_after()) result.retry_after = ToMicros(message.retry_after());
    result.duration = ToMicros(message.duration());
    result.execution = message.execution();
    result.http_status = message.http_status();
    return result;
  }

  std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<Client> client_;
};

std::shared_ptr<ExecutorStream> ExecutorStream::Start(const rpc::Replica& replica,
                                                      std::shared_ptr<const rpc::PeerAuth> auth,
                                                      Listener listener) {
  std::shared_ptr<ExecutorStream> stream(new ExecutorStream(std::move(listener)));
  Call::Open(stream, replica, std::move(auth));
  return stream;
}

void ExecutorStream::TakeFrom(std::vector<InvocationOrder>& orders) {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || draining_) return;
    while (!orders.empty() && waiting_.size() + sent_.size() < credit_) {
      waiting_.push_back(std::move(orders.back()));
      orders.pop_back();
    }
    call = call_;
  }
  if (call) call->Notify();
}

bool ExecutorStream::Cancel(const DeliveryKey& key, int attempt) {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    if (!sent_.contains({key, attempt})) return false;
    cancels_.emplace_back(key, attempt);
    call = call_;
  }
  if (call) call->Notify();
  return true;
}

void ExecutorStream::End() {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    call = call_;
  }
  if (call) call->Cancel();
}

std::size_t ExecutorStream::credit() const {
  const std::lock_guard lock(mutex_);
  return ended_ || draining_ ? 0 : credit_;
}

std::size_t ExecutorStream::in_flight() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size() + sent_.size();
}

bool ExecutorStream::worked() const {
  const std::lock_guard lock(mutex_);
  return credit_ > 0;
}

void ExecutorStream::OnEnd(const absl::Status& status) {
  std::vector<DeliveryResult> results;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    for (const auto& [id, time] : sent_) {
      results.push_back(MakeResult(id.first, id.second, DeliveryOutcome::kUnknown,
                                   "the executor was lost: " + std::string(status.message())));
    }
    for (const InvocationOrder& order : waiting_) {
      results.push_back(MakeResult(order.key, order.attempt, DeliveryOutcome::kRejected,
                                   "the executor was lost before this was sent"));
    }
    sent_.clear();
    waiting_.clear();
    call_.reset();
  }
  if (!results.empty()) listener_.on_results(std::move(results));
  listener_.on_end(status);
}

}  // namespace penstock::broker
