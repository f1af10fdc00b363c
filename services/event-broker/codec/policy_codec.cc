#include "services/event-broker/codec/policy_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr char kSchedule[] = "must not be set together with a schedule";

absl::Status ReadSchedule(const pb::RetryPolicy& message, RetryPolicy& retry) {
  if (message.has_initial_delay()) return FieldError("retry.initialDelay", kSchedule);
  if (message.has_max_delay()) return FieldError("retry.maxDelay", kSchedule);
  if (message.multiplier() != 0) return FieldError("retry.multiplier", kSchedule);
  retry.backoff = Backoff::kSchedule;
  for (int i = 0; i < message.schedule_size(); ++i) {
    ASSIGN_OR_RETURN(const Microseconds delay,
                     FromProto(fmt::format("retry.schedule[{}]", i), message.schedule(i)));
    retry.schedule.push_back(delay);
    retry.delay_max = i == 0 ? delay : std::max(retry.delay_max, delay);
  }
  return absl::OkStatus();
}

absl::Status ReadDelays(const pb::RetryPolicy& message, RetryPolicy& retry) {
  if (message.multiplier() != 0) retry.multiplier = message.multiplier();
  if (message.has_initial_delay()) {
    ASSIGN_OR_RETURN(retry.delay_initial, FromProto("retry.initialDelay", message.initial_delay()));
    // A longer first delay than the default ceiling raises the ceiling, unless that is set too.
    retry.delay_max = std::max(retry.delay_max, retry.delay_initial);
  }
  if (message.has_max_delay()) {
    ASSIGN_OR_RETURN(retry.delay_max, FromProto("retry.maxDelay", message.max_delay()));
    if (!message.has_initial_delay()) {
      retry.delay_initial = std::min(retry.delay_initial, retry.delay_max);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTimestamp(std::string_view field, const google::protobuf::Timestamp& time) {
  // The range of RFC 3339: the years 1 to 9999.
  constexpr std::int64_t kSecondsMin = -62'135'596'800;
  constexpr std::int64_t kSecondsMax = 253'402'300'799;
  if (time.seconds() >= kSecondsMin && time.seconds() <= kSecondsMax && time.nanos() >= 0 &&
      time.nanos() <= 999'999'999) {
    return absl::OkStatus();
  }
  return FieldError(field, "is out of range");
}

}  // namespace

absl::StatusOr<RetryPolicy> FromProto(const pb::RetryPolicy& message) {
  RetryPolicy retry;
  if (!pb::RetryPolicy::Backoff_IsValid(message.backoff())) {
    return FieldError("retry.backoff", "expected EXPONENTIAL, LINEAR or SCHEDULE");
  }
  if (message.max_attempts() != 0) retry.attempts_max = message.max_attempts();
  if (message.jitter() != 0) retry.jitter = message.jitter() < 0 ? 0 : message.jitter();
  if (message.has_max_age()) {
    ASSIGN_OR_RETURN(retry.age_max, FromProto("retry.maxAge", message.max_age()));
  }
  const bool by_schedule =
      message.backoff() == pb::RetryPolicy::SCHEDULE ||
      (message.backoff() == pb::RetryPolicy::BACKOFF_UNSPECIFIED && message.schedule_size() > 0);
  if (by_schedule) {
    RETURN_IF_ERROR(ReadSchedule(message, retry));
    return retry;
  }
  if (message.schedule_size() > 0) {
    return FieldError("retry.schedule",
                      "must not be set together with another backoff than SCHEDULE");
  }
  if (message.backoff() == pb::RetryPolicy::LINEAR) retry.backoff = Backoff::kLinear;
  RETURN_IF_ERROR(ReadDelays(message, retry));
  return retry;
}

pb::RetryPolicy ToProto(const RetryPolicy& retry) {
  pb::RetryPolicy message;
  message.set_max_attempts(retry.attempts_max);
  message.set_jitter(retry.jitter == 0 ? -1 : retry.jitter);
  SetDuration(retry.age_max, message.mutable_max_age());
  if (retry.backoff == Backoff::kSchedule) {
    message.set_backoff(pb::RetryPolicy::SCHEDULE);
    for (const Microseconds delay : retry.schedule) SetDuration(delay, message.add_schedule());
    return message;
  }
  message.set_backoff(retry.backoff == Backoff::kLinear ? pb::RetryPolicy::LINEAR
                                                        : pb::RetryPolicy::EXPONENTIAL);
  message.set_multiplier(retry.multiplier);
  SetDuration(retry.delay_initial, message.mutable_initial_delay());
  SetDuration(retry.delay_max, message.mutable_max_delay());
  return message;
}

absl::StatusOr<OrderingPolicy> FromProto(const pb::Ordering& message) {
  OrderingPolicy ordering;
  if (!message.by().empty()) ordering.by = message.by();
  if (message.max_held() != 0) ordering.held_max = message.max_held();
  switch (message.on_exhausted()) {
    case pb::Ordering::ON_EXHAUSTED_UNSPECIFIED:
    case pb::Ordering::CONTINUE: ordering.on_exhausted = OnExhausted::kContinue; break;
    case pb::Ordering::BLOCK: ordering.on_exhausted = OnExhausted::kBlock; break;
    case pb::Ordering::DEAD_LETTER_KEY: ordering.on_exhausted = OnExhausted::kDeadLetterKey; break;
    default:
      return FieldError("ordering.onExhausted", "expected CONTINUE, BLOCK or DEAD_LETTER_KEY");
  }
  return ordering;
}

pb::Ordering ToProto(const OrderingPolicy& ordering) {
  pb::Ordering message;
  message.set_by(ordering.by);
  message.set_max_held(ordering.held_max);
  switch (ordering.on_exhausted) {
    case OnExhausted::kContinue: message.set_on_exhausted(pb::Ordering::CONTINUE); break;
    case OnExhausted::kBlock: message.set_on_exhausted(pb::Ordering::BLOCK); break;
    case OnExhausted::kDeadLetterKey:
      message.set_on_exhausted(pb::Ordering::DEAD_LETTER_KEY);
      break;
  }
  return message;
}

RateLimit FromProto(const pb::RateLimit& message) {
  return {message.events_per_second(),
          message.burst() == 0 ? message.events_per_second() : message.burst()};
}

pb::RateLimit ToProto(const RateLimit& rate) {
  pb::RateLimit message;
  message.set_events_per_second(rate.per_second);
  message.set_burst(rate.burst);
  return message;
}

absl::StatusOr<BatchPolicy> FromProto(const pb::Batching& message) {
  BatchPolicy batching;
  if (message.max_events() != 0) batching.events_max = message.max_events();
  if (message.has_max_wait()) {
    ASSIGN_OR_RETURN(batching.wait_max, FromProto("batching.maxWait", message.max_wait()));
  }
  return batching;
}

pb::Batching ToProto(const BatchPolicy& batching) {
  pb::Batching message;
  message.set_max_events(batching.events_max);
  SetDuration(batching.wait_max, message.mutable_max_wait());
  return message;
}

absl::StatusOr<DeadLetterSink> FromProto(const pb::DeadLetterSink& message,
                                         const std::string& space) {
  if (message.function().empty() == message.event_type().empty()) {
    return FieldError("deadLetterSink", "expected exactly one of function and eventType");
  }
  DeadLetterSink sink;
  sink.event_type = message.event_type();
  if (!message.function().empty()) {
    ASSIGN_OR_RETURN(sink.function, ParseTaggedReference("deadLetterSink.function", "functions",
                                                         space, message.function()));
  }
  return sink;
}

pb::DeadLetterSink ToProto(const DeadLetterSink& sink) {
  pb::DeadLetterSink message;
  message.set_function(sink.function);
  message.set_event_type(sink.event_type);
  return message;
}

absl::StatusOr<StartPosition> FromProto(const pb::StartPosition& message) {
  StartPosition start;
  if (message.sequence() < 0) return FieldError("start.sequence", "must not be negative");
  if (message.earliest() + (message.sequence() != 0) + message.has_time() > 1) {
    return FieldError("start", "expected at most one of earliest, sequence and time");
  }
  if (message.earliest()) start.kind = StartPosition::Kind::kEarliest;
  if (message.sequence() != 0) {
    start.kind = StartPosition::Kind::kSequence;
    start.sequence = static_cast<Sequence>(message.sequence());
  }
  if (message.has_time()) {
    RETURN_IF_ERROR(CheckTimestamp("start.time", message.time()));
    start.kind = StartPosition::Kind::kTime;
    start.time = FromProto(message.time());
  }
  return start;
}

pb::StartPosition ToProto(const StartPosition& start) {
  pb::StartPosition message;
  switch (start.kind) {
    case StartPosition::Kind::kNow: break;
    case StartPosition::Kind::kEarliest: message.set_earliest(true); break;
    case StartPosition::Kind::kSequence:
      message.set_sequence(static_cast<std::int64_t>(start.sequence));
      break;
    case StartPosition::Kind::kTime: SetTimestamp(start.time, message.mutable_time()); break;
  }
  message.set_resolved_sequence(static_cast<std::int64_t>(start.resolved));
  return message;
}

absl::StatusOr<PullPolicy> FromProto(const pb::Pull& message) {
  PullPolicy pull;
  if (message.has_ack_timeout()) {
    ASSIGN_OR_RETURN(pull.ack_timeout, FromProto("pull.ackTimeout", message.ack_timeout()));
  }
  return pull;
}

pb::Pull ToProto(const PullPolicy& pull) {
  pb::Pull message;
  SetDuration(pull.ack_timeout, message.mutable_ack_timeout());
  return message;
}

absl::StatusOr<SubscriberGroup> FromProto(const pb::SubscriberGroup& message,
                                          const std::string& space) {
  SubscriberGroup group;
  switch (message.strategy()) {
    case pb::SubscriberGroup::SEQUENCE:
      group.strategy = SubscriberGroup::Strategy::kSequence;
      break;
    case pb::SubscriberGroup::FIRST_SUCCESS:
      group.strategy = SubscriberGroup::Strategy::kFirstSuccess;
      break;
    default: return FieldError("group.strategy", "expected SEQUENCE or FIRST_SUCCESS");
  }
  for (int i = 0; i < message.functions_size(); ++i) {
    ASSIGN_OR_RETURN(std::string function,
                     ParseTaggedReference(fmt::format("group.functions[{}]", i), "functions", space,
                                          message.functions(i)));
    group.functions.push_back(std::move(function));
  }
  return group;
}

pb::SubscriberGroup ToProto(const SubscriberGroup& group) {
  pb::SubscriberGroup message;
  message.set_strategy(group.strategy == SubscriberGroup::Strategy::kSequence
                           ? pb::SubscriberGroup::SEQUENCE
                           : pb::SubscriberGroup::FIRST_SUCCESS);
  for (const std::string& function : group.functions) message.add_functions(function);
  return message;
}

}  // namespace penstock::broker
