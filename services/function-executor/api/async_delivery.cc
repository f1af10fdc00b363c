#include "services/function-executor/api/async_delivery.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"

namespace penstock::executor {
namespace {

constexpr std::string_view kIdPrefix = "async-";
// A callback is no function, so nobody says how long it may take.
constexpr Microseconds kCallbackTimeout{30'000'000};

std::string Take(EventAttributes& event, const char* name) {
  const auto at = event.others.find(name);
  if (at == event.others.end()) return "";
  std::string value = std::move(at->second);
  event.others.erase(at);
  return value;
}

}  // namespace

std::string AsyncExecutionId(std::string_view delivery_id) {
  return fmt::format("{}{}", kIdPrefix, delivery_id);
}

std::string DeliveryOfAsync(std::string_view execution_id) {
  if (!execution_id.starts_with(kIdPrefix)) return "";
  execution_id.remove_prefix(kIdPrefix.size());
  return std::string(execution_id.substr(0, execution_id.find('.')));
}

bool IsAsyncAttempt(std::string_view execution_id) {
  return execution_id.starts_with(kIdPrefix) && execution_id.find('.') != std::string_view::npos;
}

absl::Status MakeCall(const internal::v1::Invocation& invocation, InvokeOrder* order,
                      AsyncRoute* route) {
  if (!order->event || order->batch) return FieldError("event", "must be one event for a call");
  EventAttributes& event = *order->event;
  order->tag = Take(event, kTagAttribute);
  order->sticky_key = Take(event, kStickyAttribute);
  order->caller = Take(event, kCallerAttribute);
  const std::string revision = Take(event, kRevisionAttribute);
  std::from_chars(revision.data(), revision.data() + revision.size(), order->min_revision);
  const std::string id = AsyncExecutionId(invocation.delivery_id());
  order->execution_id = fmt::format("{}.{}", id, invocation.attempt());
  route->on_success = Take(event, kOnSuccessAttribute);
  route->callback = Take(event, kCallbackAttribute);
  route->callback_key = Take(event, kCallbackKeyAttribute);
  route->execution = ResourceName{order->space, "executions", id}.ToString();
  route->function = ResourceName{order->space, "functions", order->function}.ToString();
  route->delivery_id = invocation.delivery_id();
  const auto trace = event.others.find("traceparent");
  if (trace != event.others.end()) route->traceparent = trace->second;
  order->trigger = TriggerKind::kCall;
  // The record tells of the event; the function gets a call.
  order->event_is_call = true;
  return absl::OkStatus();
}

absl::Status MakeCallback(InvokeOrder* order) {
  if (!order->event || order->batch) return FieldError("event", "must be one event for a callback");
  auto target = std::make_shared<FunctionSpec>();
  target->space = order->space;
  target->id = order->function;
  target->timeout = kCallbackTimeout;
  HttpTarget callback;
  callback.url = Take(*order->event, kCallbackAttribute);
  callback.signing_secret = Take(*order->event, kCallbackKeyAttribute);
  target->target = std::move(callback);
  order->instead = std::move(target);
  return absl::OkStatus();
}

std::string ResultEvent(const AsyncRoute& route, const Outcome& outcome) {
  if (outcome.error || (route.on_success.empty() && route.callback.empty())) return "";
  cloudevents::CloudEvent event;
  event.set_id(route.delivery_id);
  event.set_source(route.function);
  event.set_spec_version(std::string(cloudevents::kSpecVersion));
  event.set_type(kInvocationRequested);
  const auto set = [&](const char* name, const std::string& text) {
    if (!text.empty()) (*event.mutable_attributes())[name].set_ce_string(text);
  };
  set("datacontenttype", outcome.content_type);
  set("traceparent", route.traceparent);
  set(kOnSuccessAttribute, route.on_success);
  set(kCallbackAttribute, route.callback);
  set(kCallbackKeyAttribute, route.callback_key);
  set(kExecutionAttribute, route.execution);
  set(kStateAttribute, "SUCCEEDED");
  event.set_binary_data(*outcome.payload);
  return event.SerializeAsString();
}

}  // namespace penstock::executor
