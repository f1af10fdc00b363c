#include "services/event-broker/codec/dead_letter_codec.h"

#include <fmt/format.h>

#include <charconv>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

pb::DeadLetter::Reason ToProto(DeadReason reason) {
  switch (reason) {
    case DeadReason::kAttemptsExhausted: return pb::DeadLetter::ATTEMPTS_EXHAUSTED;
    case DeadReason::kExpired: return pb::DeadLetter::EXPIRED;
    case DeadReason::kPermanent: return pb::DeadLetter::PERMANENT_FAILURE;
    case DeadReason::kExecutorLost: return pb::DeadLetter::EXECUTOR_LOST;
    case DeadReason::kKeyFailed: return pb::DeadLetter::KEY_FAILED;
    case DeadReason::kHopLimit: return pb::DeadLetter::HOP_LIMIT;
    case DeadReason::kRetention: return pb::DeadLetter::RETENTION;
  }
  return pb::DeadLetter::REASON_UNSPECIFIED;
}

void FillError(const DeliveryError& error, penstock::executions::v1::FunctionError& message) {
  message.set_category(error.category);
  message.set_type(error.type);
  message.set_message(error.message);
}

pb::DeliveryAttempt ToProto(const AttemptRecord& attempt) {
  pb::DeliveryAttempt message;
  message.set_attempt(attempt.attempt);
  SetTimestamp(attempt.time, message.mutable_time());
  SetDuration(attempt.duration, message.mutable_duration());
  FillError(attempt.error, *message.mutable_error());
  message.set_execution(attempt.execution);
  message.set_http_status(attempt.http_status);
  return message;
}

AttemptRecord FromProto(const pb::DeliveryAttempt& message) {
  AttemptRecord attempt;
  attempt.attempt = message.attempt();
  attempt.time = broker::FromProto(message.time());
  attempt.duration =
      Microseconds(message.duration().seconds() * 1'000'000 + message.duration().nanos() / 1'000);
  attempt.error = {message.error().category(), message.error().type(), message.error().message()};
  attempt.execution = message.execution();
  attempt.http_status = message.http_status();
  return attempt;
}

}  // namespace

pb::DeadLetter ToProto(const StoredDeadLetter& letter) {
  const DeadDelivery& delivery = letter.delivery;
  pb::DeadLetter message;
  message.set_name(fmt::format("spaces/{}/deadLetters/{}", letter.space, delivery.key.Id()));
  message.set_subscription(
      fmt::format("spaces/{}/subscriptions/{}", letter.space, letter.subscription));
  message.set_subscription_uid(delivery.key.uid);
  if (!letter.function.empty()) {
    message.set_function(fmt::format("spaces/{}/functions/{}", letter.space, letter.function));
  }
  message.set_sequence(static_cast<std::int64_t>(delivery.key.sequence));
  if (!letter.event.empty()) message.mutable_event()->ParseFromString(letter.event);
  message.set_reason(ToProto(delivery.reason));
  message.set_attempts(delivery.attempts);
  for (const AttemptRecord& attempt : delivery.log) *message.add_attempt_log() = ToProto(attempt);
  if (!delivery.log.empty()) FillError(delivery.log.back().error, *message.mutable_last_error());
  SetTimestamp(delivery.time, message.mutable_create_time());
  message.set_redrive_count(delivery.redrives);
  if (letter.edits > 0) message.mutable_original_event()->ParseFromString(letter.original_event);
  if (delivery.reason == DeadReason::kRetention) {
    message.set_last_sequence(static_cast<std::int64_t>(delivery.last_sequence));
    message.set_lost_count(
        static_cast<std::int64_t>(delivery.last_sequence - delivery.key.sequence + 1));
  }
  message.set_etag(Sha256Hex(fmt::format("{}/{}/{}", delivery.key.Id(), ToUnixMicros(delivery.time),
                                         letter.edits))
                       .substr(0, 16));
  return message;
}

absl::StatusOr<pb::StoredEvent> ToProto(const EventRecord& record) {
  pb::StoredEvent message;
  message.set_name(fmt::format("spaces/{}/events/{}", record.space, record.sequence));
  message.set_sequence(static_cast<std::int64_t>(record.sequence));
  SetTimestamp(record.append_time, message.mutable_append_time());
  if (!message.mutable_event()->ParseFromArray(record.body.data(),
                                               static_cast<int>(record.body.size()))) {
    return absl::DataLossError(
        fmt::format("the event at sequence {} cannot be read", record.sequence));
  }
  return message;
}

absl::StatusOr<DeadReason> FromProto(const std::string& field, pb::DeadLetter::Reason reason) {
  switch (reason) {
    case pb::DeadLetter::ATTEMPTS_EXHAUSTED: return DeadReason::kAttemptsExhausted;
    case pb::DeadLetter::EXPIRED: return DeadReason::kExpired;
    case pb::DeadLetter::PERMANENT_FAILURE: return DeadReason::kPermanent;
    case pb::DeadLetter::EXECUTOR_LOST: return DeadReason::kExecutorLost;
    case pb::DeadLetter::KEY_FAILED: return DeadReason::kKeyFailed;
    case pb::DeadLetter::HOP_LIMIT: return DeadReason::kHopLimit;
    case pb::DeadLetter::RETENTION: return DeadReason::kRetention;
    default:
      return FieldError(field,
                        "expected ATTEMPTS_EXHAUSTED, EXPIRED, PERMANENT_FAILURE, EXECUTOR_LOST, "
                        "KEY_FAILED, HOP_LIMIT or RETENTION");
  }
}

std::string SerializeAttempts(const std::vector<AttemptRecord>& attempts) {
  if (attempts.empty()) return {};
  pb::DeadLetter message;
  for (const AttemptRecord& attempt : attempts) *message.add_attempt_log() = ToProto(attempt);
  return message.SerializeAsString();
}

absl::StatusOr<std::vector<AttemptRecord>> ParseAttempts(std::string_view bytes) {
  if (bytes.empty()) return std::vector<AttemptRecord>();
  pb::DeadLetter message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("stored attempts cannot be read");
  }
  std::vector<AttemptRecord> attempts;
  for (const auto& attempt : message.attempt_log()) attempts.push_back(FromProto(attempt));
  return attempts;
}

std::optional<DeliveryKey> ParseDeliveryId(std::string_view id) {
  const std::size_t dash = id.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return std::nullopt;
  DeliveryKey key{std::string(id.substr(0, dash)), kNoSequence};
  const char* end = id.data() + id.size();
  const auto [stop, error] = std::from_chars(id.data() + dash + 1, end, key.sequence);
  if (error != std::errc() || stop != end) return std::nullopt;
  return key;
}

}  // namespace penstock::broker
