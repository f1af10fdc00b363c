#include "services/function-executor/api/async_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/base/hmac.h"
#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/http/url.h"
#include "services/function-executor/api/async_delivery.h"
#include "services/function-executor/api/convert.h"
#include "services/function-executor/api/idempotency_key.h"

namespace penstock::executor {
namespace {

namespace pb = executions::v1;

constexpr std::size_t kPayloadBytesMax = 1U << 20;
constexpr std::size_t kStickyKeyBytesMax = 256;
constexpr std::size_t kUrlMax = 2048;
constexpr std::size_t kTypeMax = 255;
constexpr Microseconds kRevisionWaitMax{2'000'000};
constexpr int kAttemptsListed = 1000;

absl::StatusOr<AsyncDestination> DestinationOf(std::string_view field, const std::string& space,
                                               const pb::AsyncDestination& message,
                                               const AsyncDestination& by_default) {
  if (message.function().empty() && message.event_type().empty()) return by_default;
  AsyncDestination destination{message.function(), message.event_type()};
  if (!destination.function.empty() && !destination.event_type.empty()) {
    return FieldError(field, "expected exactly one of function and event_type");
  }
  if (!destination.function.empty()) {
    ASSIGN_OR_RETURN(destination.function, ParseReference(fmt::format("{}.function", field),
                                                          "functions", space, message.function()));
    return destination;
  }
  const std::string& type = destination.event_type;
  const bool is_text =
      std::all_of(type.begin(), type.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (type.size() > kTypeMax || !is_text || type.find('*') != std::string::npos) {
    return FieldError(fmt::format("{}.event_type", field),
                      "expected a type of at most 255 printable characters, without \"*\"");
  }
  if (type.starts_with("penstock.")) {
    return FieldError(fmt::format("{}.event_type", field),
                      "types that begin with \"penstock.\" are reserved");
  }
  return destination;
}

absl::Status CheckCallback(const std::string& url) {
  if (url.empty()) return absl::OkStatus();
  if (url.size() > kUrlMax || !http::ParseUrl(url).ok()) {
    return FieldError("callback_url",
                      "expected an absolute http or https URL of at most 2048 characters");
  }
  return absl::OkStatus();
}

// The same for the same key of the same caller; the event's source adds the function. Nobody
// without `token` can tell it beforehand and publish an event with it.
std::string EventIdOf(std::string_view token, const std::string& key, const std::string& caller) {
  if (key.empty()) return NewUuid();
  return Sha256Hex(HmacSha256(token, {std::to_string(caller.size()), ":", caller, key}));
}

std::string TextOf(const AsyncDestination& destination) {
  if (!destination.function.empty()) return "function:" + destination.function;
  return destination.event_type.empty() ? "" : "type:" + destination.event_type;
}

absl::Status NoExecution(const std::string& name) {
  return absl::NotFoundError(fmt::format("there is no {} (any more)", name));
}

// What is known of an invocation without a record of an attempt.
pb::Execution Describe(const std::string& name, const std::string& delivery_id,
                       const InvocationQueue::Whereabouts& found) {
  pb::Execution execution;
  execution.set_name(name);
  execution.set_function(found.function);
  execution.set_trigger(pb::Execution::CALL);
  execution.set_state(found.place == InvocationQueue::Place::kDead ? pb::Execution::FAILED
                                                                   : pb::Execution::QUEUED);
  execution.set_delivery_id(delivery_id);
  execution.set_attempt(found.attempts);
  if (found.last_error) *execution.mutable_error() = ToProto(*found.last_error);
  return execution;
}

}  // namespace

// An invocation before it is in the log.
struct AsyncCalls::Plan {
  std::string space;
  std::string function;
  std::string tag;
  std::string sticky_key;
  pb::InvokeAsyncRequest request;
  std::string caller;
  std::string traceparent;
  std::int64_t min_revision = 0;
  std::string event_id;
  InvocationQueue::Order order;
};

absl::StatusOr<std::shared_ptr<AsyncCalls::Plan>> AsyncCalls::MakePlan(
    const pb::InvokeAsyncRequest& request, const rpc::CallContext& call) const {
  ASSIGN_OR_RETURN(TaggedName name, ParseTaggedName("name", "functions", request.name()));
  if (request.payload().data().size() > kPayloadBytesMax) {
    return FieldError("payload", fmt::format("has {} bytes; expected at most {}",
                                             request.payload().data().size(), kPayloadBytesMax));
  }
  if (request.sticky_key().size() > kStickyKeyBytesMax) {
    return FieldError("sticky_key", fmt::format("has {} bytes; expected at most {}",
                                                request.sticky_key().size(), kStickyKeyBytesMax));
  }
  ASSIGN_OR_RETURN(const std::string key, ReadIdempotencyKey(request.idempotency_key()));
  RETURN_IF_ERROR(CheckCallback(request.callback_url()));
  auto plan = std::make_shared<Plan>();
  plan->space = std::move(name.name.space);
  plan->function = std::move(name.name.id);
  plan->tag = std::move(name.tag);
  plan->request = request;
  ASSIGN_OR_RETURN(plan->min_revision, MinFunctionRevision(call));
  if (parts_.peer_auth->Check(call).ok()) plan->caller = std::string(call.principal());
  plan->traceparent = request.traceparent();
  if (plan->traceparent.empty()) plan->traceparent = std::string(call.traceparent());
  if (plan->traceparent.empty()) plan->traceparent = NewTraceparent();
  plan->event_id = EventIdOf(parts_.peer_auth->token(), key, plan->caller);
  return plan;
}

absl::Status AsyncCalls::Complete(Plan& plan) const {
  RETURN_IF_ERROR(parts_.registry.Ready());
  ASSIGN_OR_RETURN(const ResolvedFunction resolved,
                   parts_.registry.Resolve({plan.space, plan.function, plan.tag, {}}));
  // Which function a weighted one chooses is not said before each attempt.
  const FunctionSpec& asked = resolved.split != nullptr ? *resolved.split : *resolved.spec;
  const AsyncPolicy& policy = asked.async;
  ASSIGN_OR_RETURN(
      const AsyncDestination on_success,
      DestinationOf("on_success", plan.space, plan.request.on_success(), policy.on_success));
  ASSIGN_OR_RETURN(
      const AsyncDestination on_failure,
      DestinationOf("on_failure", plan.space, plan.request.on_failure(), policy.on_failure));
  const std::string& callback =
      plan.request.callback_url().empty() ? policy.callback_url : plan.request.callback_url();
  plan.order.space = plan.space;
  plan.order.lanes.push_back({plan.function, policy});
  for (const auto& [field, destination] :
       {std::pair("on_success", &on_success), std::pair("on_failure", &on_failure)}) {
    if (destination->function.empty()) continue;
    const auto target = parts_.registry.Find(plan.space, destination->function);
    if (target == nullptr) {
      return FieldError(fmt::format("{}.function", field),
                        fmt::format("there is no function \"{}\"", destination->function));
    }
    plan.order.lanes.push_back({destination->function, target->async});
  }
  plan.order.has_callback = !callback.empty();

  cloudevents::CloudEvent event;
  event.set_id(plan.event_id);
  event.set_source(fmt::format("/spaces/{}/functions/{}", plan.space, plan.function));
  event.set_spec_version(std::string(cloudevents::kSpecVersion));
  event.set_type(kInvocationRequested);
  const auto set = [&](const char* name, const std::string& text) {
    if (!text.empty()) (*event.mutable_attributes())[name].set_ce_string(text);
  };
  set("subject", plan.function);
  set("datacontenttype", plan.request.payload().content_type());
  set("traceparent", plan.traceparent);
  set(kTagAttribute, plan.tag);
  set(kStickyAttribute, plan.request.sticky_key());
  set(kCallerAttribute, plan.caller);
  set(kRevisionAttribute, std::to_string(std::max(resolved.spec->revision, asked.revision)));
  set(kCallbackAttribute, callback);
  if (!callback.empty()) set(kCallbackKeyAttribute, policy.callback_signing_secret);
  set(kOnSuccessAttribute, TextOf(on_success));
  set(kOnFailureAttribute, TextOf(on_failure));
  event.set_binary_data(std::move(*plan.request.mutable_payload()->mutable_data()));
  plan.order.event = event.SerializeAsString();
  return absl::OkStatus();
}

void AsyncCalls::Invoke(const pb::InvokeAsyncRequest& request, const rpc::CallContext& call,
                        InvokeDone done) const {
  auto made = MakePlan(request, call);
  if (!made.ok()) return done(made.status());
  const std::shared_ptr<Plan> plan = *std::move(made);
  parts_.registry.WaitFor(
      plan->min_revision, kRevisionWaitMax,
      [this, plan, done = std::move(done)](const absl::Status& known) {
        // Whether or not a revision was asked for, the functions have to be known.
        absl::Status status = plan->min_revision > 0 ? known : absl::OkStatus();
        if (status.ok()) status = Complete(*plan);
        if (!status.ok()) return done(status);
        parts_.queue.Enqueue(std::move(plan->order),
                             [plan, done](const absl::StatusOr<InvocationQueue::Queued>& queued) {
                               if (!queued.ok()) return done(queued.status());
                               pb::InvokeAsyncResponse response;
                               response.set_execution(ResourceName{
                                   plan->space, "executions", AsyncExecutionId(queued->delivery_id)}
                                                          .ToString());
                               response.set_event_id(plan->event_id);
                               response.set_delivery_id(queued->delivery_id);
                               response.set_duplicate(queued->is_duplicate);
                               done(std::move(response));
                             });
      });
}

bool AsyncCalls::IsAsync(const std::string& name) {
  return !DeliveryOfAsync(std::string_view(name).substr(name.rfind('/') + 1)).empty();
}

void AsyncCalls::GetAttempt(const std::string& name, const std::string& delivery_id,
                            const std::shared_ptr<rpc::Cancellation>& cancellation,
                            GetDone done) const {
  pb::ListExecutionsRequest request;
  request.set_parent(name.substr(0, name.rfind("/executions/")));
  request.set_delivery_id(delivery_id);
  const bool wants_one = IsAsyncAttempt(std::string_view(name).substr(name.rfind('/') + 1));
  request.set_page_size(wants_one ? kAttemptsListed : 1);
  // The newest attempt, or the one that is asked for.
  parts_.directory.List(
      request, cancellation,
      [name, wants_one, done = std::move(done)](absl::StatusOr<pb::ListExecutionsResponse> page) {
        if (!page.ok()) return done(page.status());
        for (pb::Execution& execution : *page->mutable_executions()) {
          if (wants_one && execution.name() != name) continue;
          execution.set_name(name);
          return done(std::move(execution));
        }
        if (page->unreachable_size() == 0) return done(NoExecution(name));
        done(absl::UnavailableError(
            fmt::format("{} is not on the executors that answered; could not be asked: {}", name,
                        fmt::join(page->unreachable(), ", "))));
      });
}

void AsyncCalls::Get(const std::string& name,
                     const std::shared_ptr<rpc::Cancellation>& cancellation, GetDone done) const {
  const auto parsed = ParseResourceName("name", "executions", name);
  if (!parsed.ok()) return done(parsed.status());
  const std::string delivery_id = DeliveryOfAsync(parsed->id);
  if (IsAsyncAttempt(parsed->id)) return GetAttempt(name, delivery_id, cancellation, done);
  // First the broker: an attempt that ends meanwhile is in the records then.
  parts_.queue.Find(
      parsed->space, delivery_id,
      [this, name, delivery_id, cancellation,
       done = std::move(done)](const absl::StatusOr<InvocationQueue::Whereabouts>& found) {
        GetAttempt(
            name, delivery_id, cancellation,
            [name, delivery_id, found, done](absl::StatusOr<pb::Execution> attempt) {
              using Place = InvocationQueue::Place;
              const bool is_pending = found.ok() && (found->place == Place::kWaiting ||
                                                     found->place == Place::kInFlight);
              if (attempt.ok()) {
                const bool is_last = attempt->state() != pb::Execution::FAILED;
                if (is_last || !is_pending) return done(std::move(attempt));
                // It failed, and is tried again.
                attempt->set_state(pb::Execution::QUEUED);
                return done(std::move(attempt));
              }
              if (!found.ok()) {
                return done(absl::IsNotFound(found.status()) ? attempt.status() : found.status());
              }
              if (found->place == Place::kDone) return done(attempt.status());
              done(Describe(name, delivery_id, *found));
            });
      });
}

void AsyncCalls::RecordCancel(const std::string& space, const std::string& delivery_id,
                              const InvocationQueue::Cancelled& cancelled,
                              std::function<void()> done) const {
  ExecutionRecord record;
  record.id = AsyncExecutionId(delivery_id) + ".cancelled";
  record.space = space;
  record.function = cancelled.function.substr(cancelled.function.rfind('/') + 1);
  record.start = parts_.clock.Wall();
  record.attempt = cancelled.attempts;
  record.delivery_id = delivery_id;
  record.instance = parts_.ids.instance();
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>();
  outcome.error = FunctionError{
      ErrorCategory::kSystem, "Cancelled", "the invocation was cancelled before it ran", {}};
  parts_.journal.End(std::move(record), nullptr, "", outcome, true, std::move(done));
}

void AsyncCalls::Cancel(const std::string& name,
                        const std::shared_ptr<rpc::Cancellation>& cancellation,
                        GetDone done) const {
  const auto parsed = ParseResourceName("name", "executions", name);
  if (!parsed.ok()) return done(parsed.status());
  const std::string delivery_id = DeliveryOfAsync(parsed->id);
  const std::string whole =
      ResourceName{parsed->space, "executions", AsyncExecutionId(delivery_id)}.ToString();
  parts_.queue.Cancel(
      parsed->space, delivery_id,
      [this, space = parsed->space, delivery_id, whole, cancellation,
       done = std::move(done)](const absl::StatusOr<InvocationQueue::Cancelled>& cancelled) {
        if (absl::IsNotFound(cancelled.status())) return done(NoExecution(whole));
        if (!cancelled.ok()) return done(cancelled.status());
        const auto answer = [this, whole, cancellation, done] { Get(whole, cancellation, done); };
        if (cancelled->in_flight) return answer();
        RecordCancel(space, delivery_id, *cancelled, answer);
      });
}

}  // namespace penstock::executor
