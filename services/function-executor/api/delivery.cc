#include "services/function-executor/api/delivery.h"

#include <memory>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "services/function-executor/api/batch.h"
#include "services/function-executor/api/convert.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr int kHttpAccepted = 202;
constexpr char kTraceparent[] = "traceparent";
constexpr char kPartitionKey[] = "partitionkey";

pb::InvocationResult::Outcome ToProto(DeliveryOutcome outcome) {
  switch (outcome) {
    case DeliveryOutcome::kSucceeded: return pb::InvocationResult::SUCCEEDED;
    case DeliveryOutcome::kPermanent: return pb::InvocationResult::PERMANENT;
    case DeliveryOutcome::kRejected: return pb::InvocationResult::REJECTED;
    case DeliveryOutcome::kRetryable: break;
  }
  return pb::InvocationResult::RETRYABLE;
}

bool HasMediaType(std::string_view content_type, std::string_view media_type) {
  return content_type.starts_with(media_type) &&
         (content_type.size() == media_type.size() || content_type[media_type.size()] == ';' ||
          content_type[media_type.size()] == ' ');
}

absl::Status SetEvent(const pb::Invocation& invocation, InvokeOrder* order) {
  cloudevents::CloudEvent event;
  if (!event.ParseFromString(invocation.event())) {
    return FieldError("event", "is no serialized io.cloudevents.v1.CloudEvent");
  }
  BatchedEvent parts = ToDomain(&event);
  order->event = std::move(parts.event);
  order->payload = std::move(parts.payload);
  order->content_type = std::move(parts.content_type);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<InvokeOrder> ToOrder(const pb::Invocation& invocation,
                                    std::optional<AsyncRoute>* route) {
  ASSIGN_OR_RETURN(TaggedName function,
                   ParseTaggedName("function", "functions", invocation.function()));
  InvokeOrder order;
  order.space = std::move(function.name.space);
  order.function = std::move(function.name.id);
  order.tag = std::move(function.tag);
  order.trigger = TriggerKind::kEvent;
  if (!invocation.subscription().empty()) {
    ASSIGN_OR_RETURN(ResourceName subscription,
                     ParseResourceName("subscription", "subscriptions", invocation.subscription()));
    order.subscription = std::move(subscription.id);
  }
  if (invocation.delivery_id().empty()) return FieldError("delivery_id", "is required");
  order.delivery_id = invocation.delivery_id();
  order.attempt = invocation.attempt();
  if (invocation.has_timeout()) {
    ASSIGN_OR_RETURN(order.timeout, FromProto("timeout", invocation.timeout()));
  }
  order.min_revision = invocation.min_function_revision();
  order.replay = invocation.replay();
  if (IsBatch(invocation)) {
    RETURN_IF_ERROR(SetBatch(invocation, &order));
  } else {
    RETURN_IF_ERROR(SetEvent(invocation, &order));
  }
  if (invocation.purpose() == pb::Invocation::CALL) {
    RETURN_IF_ERROR(MakeCall(invocation, &order, &route->emplace()));
  } else if (invocation.purpose() == pb::Invocation::CALLBACK) {
    RETURN_IF_ERROR(MakeCallback(&order));
  }
  // Events with one key keep to one version, as they keep their order.
  const auto key = order.event->others.find(kPartitionKey);
  if (key != order.event->others.end() && order.sticky_key.empty()) order.sticky_key = key->second;
  order.traceparent = invocation.traceparent();
  // Events of one batch belong to different traces: their call begins one of its own.
  if (order.traceparent.empty() && order.batch == nullptr) {
    const auto of_event = order.event->others.find(kTraceparent);
    if (of_event != order.event->others.end()) order.traceparent = of_event->second;
  }
  if (order.traceparent.empty()) order.traceparent = NewTraceparent();
  return order;
}

void FillResult(const DeliveryVerdict& verdict, pb::InvocationResult* result) {
  result->set_outcome(ToProto(verdict.outcome));
  if (verdict.error) *result->mutable_error() = executor::ToProto(*verdict.error);
  if (verdict.retry_after) {
    *result->mutable_retry_after() = executor::ToProto(*verdict.retry_after);
  }
  result->set_timed_out(verdict.timed_out);
}

std::string ReplyOf(const Outcome& outcome) {
  if (outcome.error || outcome.payload == nullptr) return {};
  // Knative's data plane contract: what comes with 202 is no reply.
  if (outcome.http_status == kHttpAccepted) return {};
  if (HasMediaType(outcome.content_type, cloudevents::kJsonType)) {
    const auto event = cloudevents::FromJson(*outcome.payload);
    return event.ok() ? cloudevents::ToProtobuf(*event) : std::string();
  }
  if (HasMediaType(outcome.content_type, cloudevents::kProtobufType)) {
    const auto event = cloudevents::FromProtobuf(*outcome.payload);
    return event.ok() ? *outcome.payload : std::string();
  }
  return {};
}

}  // namespace penstock::executor
