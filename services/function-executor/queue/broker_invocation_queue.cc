#include "services/function-executor/queue/broker_invocation_queue.h"

#include <penstock/internal/v1/async_invocation.pb.h>

#include <chrono>
#include <utility>

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr char kEnqueueInvocation[] =
    "/penstock.internal.v1.AsyncInvocationService/EnqueueInvocation";
constexpr char kFindInvocation[] = "/penstock.internal.v1.AsyncInvocationService/FindInvocation";
constexpr char kCancelInvocation[] =
    "/penstock.internal.v1.AsyncInvocationService/CancelInvocation";
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
    : calls_({.address = std::move(address),
              .peer = "the event-broker",
              .setting = "event_broker.address",
              .timeout = kTimeout,
              .peer_auth = std::move(peer_auth)}) {}

void BrokerInvocationQueue::Enqueue(Order order, std::function<void(absl::StatusOr<Queued>)> done) {
  pb::EnqueueInvocationRequest request;
  request.set_space(order.space);
  request.set_event(std::move(order.event));
  for (const Lane& lane : order.lanes) Fill(lane, request.add_lanes());
  request.set_callback(order.has_callback);
  using Response = pb::EnqueueInvocationResponse;
  calls_.Call<Response>(kEnqueueInvocation, request,
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
  calls_.Call<Response>(kFindInvocation, request,
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
  calls_.Call<Response>(
      kCancelInvocation, request,
      [done = std::move(done)](const absl::StatusOr<Response>& response) {
        if (!response.ok()) return done(response.status());
        done(Cancelled{response->function(), response->in_flight(), response->attempts()});
      });
}

}  // namespace penstock::executor
