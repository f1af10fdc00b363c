#include "services/event-broker/invoker/invocation_messages.h"

#include <charconv>
#include <set>
#include <utility>

namespace penstock::broker {
namespace {

namespace pb = internal::v1;

DeliveryOutcome FromProto(pb::InvocationResult::Outcome outcome) {
  switch (outcome) {
    case pb::InvocationResult::SUCCEEDED: return DeliveryOutcome::kSucceeded;
    case pb::InvocationResult::PERMANENT: return DeliveryOutcome::kPermanent;
    case pb::InvocationResult::REJECTED: return DeliveryOutcome::kRejected;
    default: return DeliveryOutcome::kRetryable;
  }
}

pb::Invocation::Purpose ToProto(LanePurpose purpose) {
  switch (purpose) {
    case LanePurpose::kCalls: return pb::Invocation::CALL;
    case LanePurpose::kCallbacks: return pb::Invocation::CALLBACK;
    case LanePurpose::kEvents: break;
  }
  return pb::Invocation::PURPOSE_UNSPECIFIED;
}

Microseconds ToMicros(const google::protobuf::Duration& duration) {
  return Microseconds(duration.seconds() * 1'000'000 + duration.nanos() / 1'000);
}

void SetMicros(Microseconds value, google::protobuf::Duration* duration) {
  duration->set_seconds(value.count() / 1'000'000);
  duration->set_nanos(static_cast<int>(value.count() % 1'000'000 * 1'000));
}

}  // namespace

void ToProto(const InvocationOrder& order, pb::Invocation* message) {
  message->set_delivery_id(order.key.Id());
  message->set_attempt(order.attempt);
  message->set_epoch(order.epoch);
  message->set_function(order.function);
  message->set_subscription(order.subscription);
  if (order.timeout) SetMicros(*order.timeout, message->mutable_timeout());
  message->set_min_function_revision(order.function_revision_min);
  message->set_event(order.event.view().data(), order.event.size());
  message->set_traceparent(order.traceparent);
  message->set_sequence(static_cast<std::int64_t>(order.key.sequence));
  message->set_replay(order.replay);
  message->set_ordered(order.ordered);
  message->set_batched(order.batched);
  message->set_purpose(ToProto(order.purpose));
  for (const InvocationOrder::Batched& further : order.batch) {
    pb::BatchedEvent* event = message->add_batch();
    event->set_delivery_id(further.key.Id());
    event->set_event(further.event.view().data(), further.event.size());
    event->set_sequence(static_cast<std::int64_t>(further.key.sequence));
  }
}

std::size_t EventBytes(const InvocationOrder& order) {
  std::size_t bytes = order.event.size();
  for (const InvocationOrder::Batched& further : order.batch) bytes += further.event.size();
  return bytes;
}

std::optional<DeliveryKey> ParseDeliveryId(const std::string& id) {
  // A lane may hold dashes and dots, the sequence neither.
  const std::size_t dash = id.rfind('-');
  if (dash == std::string::npos) return std::nullopt;
  DeliveryKey key{id.substr(0, dash), kNoSequence};
  const char* const end = id.data() + id.size();
  const auto [stop, error] = std::from_chars(id.data() + dash + 1, end, key.sequence);
  if (error != std::errc() || stop != end) return std::nullopt;
  return key;
}

std::vector<DeliveryResult> FromProto(const SentCall& call, const pb::InvocationResult& message) {
  DeliveryResult common;
  common.attempt = call.attempt;
  common.outcome = FromProto(message.outcome());
  common.error = {message.error().category(), message.error().type(), message.error().message()};
  if (message.has_retry_after()) common.retry_after = ToMicros(message.retry_after());
  common.duration = ToMicros(message.duration());
  common.execution = message.execution();
  common.http_status = message.http_status();
  common.timed_out = message.timed_out();
  const bool is_success = common.outcome == DeliveryOutcome::kSucceeded;
  std::set<std::string> failed;
  if (is_success) {
    failed.insert(message.failed_delivery_ids().begin(), message.failed_delivery_ids().end());
  }
  bool has_reply = is_success && !message.reply().empty();
  std::vector<DeliveryResult> results;
  results.reserve(call.further.size() + 1);
  const auto add = [&](const DeliveryKey& key) {
    DeliveryResult& result = results.emplace_back(common);
    result.key = key;
    if (!failed.empty() && failed.contains(key.Id())) {
      result.outcome = DeliveryOutcome::kRetryable;
      result.error = {"FunctionError", "BatchItemFailed",
                      "the function named this event of its batch as failed"};
    } else if (std::exchange(has_reply, false)) {
      result.reply = message.reply();
    }
  };
  add(call.key);
  for (const DeliveryKey& key : call.further) add(key);
  return results;
}

std::vector<DeliveryResult> ResultsWithoutAnswer(const SentCall& call, DeliveryOutcome outcome,
                                                 std::string_view type, std::string_view message) {
  DeliveryResult result;
  result.key = call.key;
  result.attempt = call.attempt;
  result.outcome = outcome;
  result.error = {"SystemError", std::string(type), std::string(message)};
  std::vector<DeliveryResult> results(call.further.size() + 1, result);
  for (std::size_t i = 0; i < call.further.size(); ++i) results[i + 1].key = call.further[i];
  return results;
}

SentCall ToSentCall(const InvocationOrder& order, std::chrono::milliseconds call_time_max) {
  SentCall call{order.key, order.attempt, order.epoch, {}, order.ordered, {}};
  for (const InvocationOrder::Batched& further : order.batch) call.further.push_back(further.key);
  call.ends_by = std::chrono::steady_clock::now() +
                 (order.timeout ? *order.timeout : Microseconds(call_time_max));
  return call;
}

}  // namespace penstock::broker
