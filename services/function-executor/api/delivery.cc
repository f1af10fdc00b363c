#include "services/function-executor/api/delivery.h"

#include <memory>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "services/function-executor/api/convert.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr std::string_view kTraceparent = "traceparent";

EventAttributes AttributesOf(const cloudevents::CloudEvent& event) {
  EventAttributes attributes;
  attributes.id = event.id();
  attributes.source = event.source();
  attributes.type = event.type();
  if (!event.spec_version().empty()) attributes.spec_version = event.spec_version();
  for (const auto& [name, value] : event.attributes()) {
    attributes.others.emplace(name, cloudevents::AttributeText(value));
  }
  return attributes;
}

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

}  // namespace

absl::StatusOr<InvokeOrder> ToOrder(const pb::Invocation& invocation) {
  ASSIGN_OR_RETURN(ResourceName function,
                   ParseResourceName("function", "functions", invocation.function()));
  InvokeOrder order;
  order.space = std::move(function.space);
  order.function = std::move(function.id);
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
  cloudevents::CloudEvent event;
  if (!event.ParseFromString(invocation.event())) {
    return FieldError("event", "is no serialized io.cloudevents.v1.CloudEvent");
  }
  order.event = AttributesOf(event);
  order.content_type = std::string(cloudevents::DataContentType(event));
  if (event.has_binary_data()) {
    order.payload = std::make_shared<const std::string>(std::move(*event.mutable_binary_data()));
  } else {
    order.payload = std::make_shared<const std::string>(cloudevents::Data(event));
  }
  order.traceparent = invocation.traceparent();
  if (order.traceparent.empty()) {
    order.traceparent = std::string(cloudevents::StringAttribute(event, kTraceparent));
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
}

std::string ReplyOf(const Outcome& outcome) {
  if (outcome.error || outcome.payload == nullptr) return {};
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
