#include "services/function-executor/queue/broker_invocation_queue.h"

#include <fmt/format.h>
#include <penstock/internal/v1/async_invocation.pb.h>

#include <chrono>
#include <utility>

#include "libs/rpc/unary_call.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

// Somebody waits for it. Long enough to find a broker again that was just restarted.
constexpr std::chrono::milliseconds kTimeout{5'000};

void Set(const std::optional<Microseconds>& value,
         google::protobuf::Duration* (*field)(pb::InvocationLane*), pb::InvocationLane* lane) {
  if (!value) return;
  google::protobuf::Duration* const duration = field(lane);
  duration->set_seconds(value->count() / 1'000'000);
  duration->set_nanos(static_cast<int>(value->count() % 1'000'000 * 1'000));
}

void Fill(const InvocationQueue::Lane& lane, pb::InvocationLane* message) {
  message->set_function(lane.function);
  message->set_max_attempts(lane.policy.attempts_max);
  Set(
      lane.policy.delay_initial, [](auto* to) { return to->mutable_initial_delay(); }, message);
  Set(
      lane.policy.delay_max, [](auto* to) { return to->mutable_max_delay(); }, message);
  Set(
      lane.policy.age_max, [](auto* to) { return to->mutable_max_age(); }, message);
}

ErrorCategory CategoryOf(std::string_view name) {
  if (name == "InputError") return ErrorCategory::kInput;
  return name == "SystemError" ? ErrorCategory::kSystem : ErrorCategory::kFunction;
}

InvocationQueue::Whereabouts FromProto(const pb::FindInvocationResponse& message) {
  InvocationQueue::Whereabouts found;
  switch (message.place()) {
    case pb::FindInvocationResponse::IN_FLIGHT:
      found.place = InvocationQueue::Place::kInFlight;
      break;
    case pb::FindInvocationResponse::DONE: found.place = InvocationQueue::Place::kDone; break;
    case pb::FindInvocationResponse::DEAD: found.place = InvocationQueue::Place::kDead; break;
    default: found.place = InvocationQueue::Place::kWaiting; break;
  }
  found.function = message.function();
  found.attempts = message.attempts();
  if (message.has_last_error()) {
    const auto& error = message.last_error();
    found.last_error =
        FunctionError{CategoryOf(error.category()), error.type(), error.message(), {}};
  }
  return found;
}

}  // namespace

BrokerInvocationQueue::BrokerInvocationQueue(std::string address,
                                             std::shared_ptr<const rpc::PeerAuth> peer_auth)
    : channel_(std::move(address)), peer_auth_(std::move(peer_auth)) {}

template <typename Response, typename Request>
void BrokerInvocationQueue::Call(const char* method, const Request& request,
                                 std::function<void(absl::StatusOr<Response>)> done) {
  const auto unreachable = [address = channel_.address()](const absl::Status& status) {
    return absl::UnavailableError(
        fmt::format("the event-broker at {} (event_broker.address) cannot be reached: {}", address,
                    std::string(status.message())));
  };
  const auto channel = channel_.Get();
  if (!channel.ok()) return done(unreachable(channel.status()));
  {
    std::unique_lock lock(calls_->mutex);
    if (calls_->stopped) {
      lock.unlock();
      return done(absl::UnavailableError("the executor is stopping"));
    }
    ++calls_->running;
  }
  rpc::CallOptions options;
  options.timeout = kTimeout;
  options.wait_for_ready = true;
  options.peer_auth = peer_auth_;
  options.cancellation = cancellation_;
  rpc::CallUnary<Response>(
      *channel, std::string("/penstock.internal.v1.AsyncInvocationService/") + method, request,
      options,
      [done = std::move(done), unreachable, calls = calls_](absl::StatusOr<Response> response,
                                                            const rpc::ResponseMetadata&) {
        const bool is_away = absl::IsDeadlineExceeded(response.status());
        is_away ? done(unreachable(response.status())) : done(std::move(response));
        const std::lock_guard lock(calls->mutex);
        --calls->running;
        calls->ended.notify_all();
      });
}

void BrokerInvocationQueue::Enqueue(Order order, std::function<void(absl::StatusOr<Queued>)> done) {
  pb::EnqueueInvocationRequest request;
  request.set_space(order.space);
  request.set_event(std::move(order.event));
  for (const Lane& lane : order.lanes) Fill(lane, request.add_lanes());
  request.set_callback(order.has_callback);
  using Response = pb::EnqueueInvocationResponse;
  Call<Response>("EnqueueInvocation", request,
                 [done = std::move(done)](const absl::StatusOr<Response>& response) {
                   if (!response.ok()) return done(response.status());
                   done(Queued{response->delivery_id(), response->duplicate()});
                 });
}

void BrokerInvocationQueue::Find(const std::string& space, const std::string& delivery_id,
                                 std::function<void(absl::StatusOr<Whereabouts>)> done) {
  pb::FindInvocationRequest request;
  request.set_space(space);
  request.set_delivery_id(delivery_id);
  using Response = pb::FindInvocationResponse;
  Call<Response>("FindInvocation", request,
                 [done = std::move(done)](const absl::StatusOr<Response>& response) {
                   response.ok() ? done(FromProto(*response)) : done(response.status());
                 });
}

void BrokerInvocationQueue::Cancel(const std::string& space, const std::string& delivery_id,
                                   std::function<void(absl::StatusOr<Cancelled>)> done) {
  pb::CancelInvocationRequest request;
  request.set_space(space);
  request.set_delivery_id(delivery_id);
  using Response = pb::CancelInvocationResponse;
  Call<Response>(
      "CancelInvocation", request,
      [done = std::move(done)](const absl::StatusOr<Response>& response) {
        if (!response.ok()) return done(response.status());
        done(Cancelled{response->function(), response->in_flight(), response->attempts()});
      });
}

void BrokerInvocationQueue::Stop() {
  {
    const std::lock_guard lock(calls_->mutex);
    calls_->stopped = true;
  }
  cancellation_->Cancel();
  std::unique_lock lock(calls_->mutex);
  calls_->ended.wait(lock, [this] { return calls_->running == 0; });
}

}  // namespace penstock::executor
