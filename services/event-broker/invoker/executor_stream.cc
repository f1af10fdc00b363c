#include "services/event-broker/invoker/executor_stream.h"

#include <penstock/internal/v1/invocation.pb.h>

#include <algorithm>
#include <iterator>

#include "libs/rpc/bidi_client.h"
#include "services/event-broker/invoker/invocation_messages.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::internal::v1;

constexpr std::size_t kOrdersPerMessage = 256;
constexpr std::size_t kBytesPerMessage = 512u << 10;

void Append(std::vector<DeliveryResult> from, std::vector<DeliveryResult>* to) {
  std::move(from.begin(), from.end(), std::back_inserter(*to));
}

}  // namespace

// The gRPC side, so that the header needs no generated code.
class ExecutorStream::Call {
 public:
  using Client = rpc::BidiClient<pb::InvokeStreamRequest, pb::InvokeStreamResponse>;

  static void Open(const std::shared_ptr<ExecutorStream>& stream, const rpc::Replica& replica) {
    auto call = std::make_shared<Call>();
    {
      const std::lock_guard lock(stream->mutex_);
      stream->call_ = call;
    }
    rpc::CallOptions options;
    options.peer_auth = stream->options_.auth;
    auto client = Client::Start(
        replica.channel, "/penstock.internal.v1.InvocationService/InvokeStream", options,
        {
            .fill = [stream](pb::InvokeStreamRequest& message) { return Fill(*stream, message); },
            .on_message =
                [stream](pb::InvokeStreamResponse& message) { OnMessage(*stream, message); },
            .on_done = [stream](const absl::Status& status,
                                const rpc::ResponseMetadata&) { stream->OnEnd(status); },
        });
    bool cancelled = false;
    {
      const std::lock_guard lock(call->mutex_);
      call->client_ = client;
      cancelled = call->cancelled_;
    }
    if (cancelled) client->Cancel();
  }

  void Notify() {
    if (const auto client = Get()) client->Notify();
  }
  void Cancel() {
    std::shared_ptr<Client> client;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      client = client_;
    }
    if (client) client->Cancel();
  }

 private:
  std::shared_ptr<Client> Get() {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  static bool Fill(ExecutorStream& stream, pb::InvokeStreamRequest& message) {
    const std::lock_guard lock(stream.mutex_);
    // The first message goes out at once: credit is the answer to it.
    const bool is_first = !std::exchange(stream.introduced_, true);
    if (is_first) message.set_broker(stream.options_.broker);
    std::size_t bytes = 0;
    while (!stream.waiting_.empty() &&
           static_cast<std::size_t>(message.invocations_size()) < kOrdersPerMessage) {
      const InvocationOrder& order = stream.waiting_.front();
      const std::size_t size = EventBytes(order);
      if (bytes > 0 && bytes + size > kBytesPerMessage) break;
      bytes += size + 1;
      ToProto(order, message.add_invocations());
      stream.sent_.emplace(AttemptId{order.key, order.attempt},
                           ToSentCall(order, stream.options_.call_time_max));
      stream.waiting_.pop_front();
    }
    while (!stream.cancels_.empty()) {
      const auto& [id, epoch] = stream.cancels_.front();
      auto* cancel = message.add_cancels();
      cancel->set_delivery_id(id.first.Id());
      cancel->set_attempt(id.second);
      cancel->set_epoch(epoch);
      stream.cancels_.pop_front();
    }
    return is_first || message.invocations_size() + message.cancels_size() > 0;
  }

  static void OnMessage(ExecutorStream& stream, const pb::InvokeStreamResponse& message) {
    std::vector<DeliveryResult> results;
    std::size_t unknown = 0;
    std::string instance;
    bool is_first_credit = false;
    bool credit_changed = false;
    {
      const std::lock_guard lock(stream.mutex_);
      for (const pb::InvocationResult& result : message.results()) {
        auto key = ParseDeliveryId(result.delivery_id());
        const auto sent =
            key ? stream.sent_.find({*std::move(key), result.attempt()}) : stream.sent_.end();
        if (sent == stream.sent_.end() || sent->second.epoch != result.epoch()) {
          ++unknown;
          continue;
        }
        Append(FromProto(sent->second, result), &results);
        stream.sent_.erase(sent);
      }
      if (!message.instance().empty()) stream.instance_ = message.instance();
      if (message.credit() > 0) {
        is_first_credit = stream.credit_ == 0;
        stream.credit_ = static_cast<std::size_t>(message.credit());
        credit_changed = true;
      }
      if (message.draining() && !stream.draining_) {
        stream.draining_ = true;
        credit_changed = true;
      }
      instance = stream.instance_;
    }
    if (!results.empty()) stream.listener_.on_results(std::move(results));
    if (unknown > 0) stream.listener_.on_unknown(unknown);
    if (credit_changed) stream.listener_.on_credit(instance, is_first_credit);
  }

  std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<Client> client_;
};

std::shared_ptr<ExecutorStream> ExecutorStream::Start(const rpc::Replica& replica, Options options,
                                                      Listener listener) {
  std::shared_ptr<ExecutorStream> stream(
      new ExecutorStream(std::move(options), std::move(listener)));
  Call::Open(stream, replica);
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
  std::vector<DeliveryResult> results;
  {
    const std::lock_guard lock(mutex_);
    const auto waiting = std::find_if(
        waiting_.begin(), waiting_.end(),
        [&](const InvocationOrder& order) { return order.key == key && order.attempt == attempt; });
    if (waiting != waiting_.end()) {
      results = ResultsWithoutAnswer(ToSentCall(*waiting, options_.call_time_max),
                                     DeliveryOutcome::kRejected, "Cancelled",
                                     "it was given up before it was sent");
      waiting_.erase(waiting);
    } else {
      const auto sent = sent_.find({key, attempt});
      if (sent == sent_.end()) return false;
      cancels_.emplace_back(sent->first, sent->second.epoch);
      call = call_;
    }
  }
  if (!results.empty()) listener_.on_results(std::move(results));
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

std::string ExecutorStream::instance() const {
  const std::lock_guard lock(mutex_);
  return instance_;
}

bool ExecutorStream::HasCallsBefore(SteadyTime time) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(sent_.begin(), sent_.end(),
                     [&](const auto& entry) { return entry.second.ends_by < time; });
}

void ExecutorStream::OnEnd(const absl::Status& status) {
  const std::string reason = "the executor was lost: " + std::string(status.message());
  std::vector<DeliveryResult> results;
  std::vector<SentCall> doubtful;
  std::string instance;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    instance = instance_;
    for (auto& [id, call] : sent_) {
      if (call.ordered) {
        doubtful.push_back(std::move(call));
      } else {
        Append(ResultsWithoutAnswer(call, DeliveryOutcome::kUnknown, "ExecutorLost", reason),
               &results);
      }
    }
    for (const InvocationOrder& order : waiting_) {
      Append(ResultsWithoutAnswer(ToSentCall(order, options_.call_time_max),
                                  DeliveryOutcome::kRejected, "ExecutorLost",
                                  "the executor was lost before this was sent"),
             &results);
    }
    sent_.clear();
    waiting_.clear();
    call_.reset();
  }
  if (!results.empty()) listener_.on_results(std::move(results));
  if (!doubtful.empty()) listener_.on_doubtful(instance, std::move(doubtful), reason);
  listener_.on_end(status);
}

}  // namespace penstock::broker
