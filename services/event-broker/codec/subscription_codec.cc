#include "services/event-broker/codec/subscription_codec.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/filter_codec.h"
#include "services/event-broker/codec/policy_codec.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

pb::Subscription::State ToProto(SubscriptionState state) {
  switch (state) {
    case SubscriptionState::kPending: return pb::Subscription::PENDING;
    case SubscriptionState::kActive: return pb::Subscription::ACTIVE;
    case SubscriptionState::kPaused: return pb::Subscription::PAUSED;
    case SubscriptionState::kDraining: return pb::Subscription::DRAINING;
  }
  return pb::Subscription::STATE_UNSPECIFIED;
}

SubscriptionState StateOf(const pb::Subscription& message) {
  switch (message.state()) {
    case pb::Subscription::PENDING: return SubscriptionState::kPending;
    case pb::Subscription::PAUSED: return SubscriptionState::kPaused;
    case pb::Subscription::DRAINING: return SubscriptionState::kDraining;
    default: return SubscriptionState::kActive;
  }
}

void WritePolicies(const Subscription& subscription, pb::Subscription& message) {
  *message.mutable_retry() = ToProto(subscription.retry);
  message.set_max_in_flight(subscription.in_flight_max);
  if (subscription.ordering) *message.mutable_ordering() = ToProto(*subscription.ordering);
  if (subscription.rate_limit) *message.mutable_rate_limit() = ToProto(*subscription.rate_limit);
  if (!(subscription.batching == BatchPolicy())) {
    *message.mutable_batching() = ToProto(subscription.batching);
  }
  if (!subscription.dead_letter_sink.kept()) {
    *message.mutable_dead_letter_sink() = ToProto(subscription.dead_letter_sink);
  }
  if (subscription.time_to_live) {
    SetDuration(*subscription.time_to_live, message.mutable_time_to_live());
  }
  *message.mutable_start() = ToProto(subscription.start);
  if (subscription.pull) *message.mutable_pull() = ToProto(*subscription.pull);
  if (subscription.group) *message.mutable_group() = ToProto(*subscription.group);
}

absl::Status ReadPolicies(const pb::Subscription& message, Subscription& subscription) {
  const std::string& space = subscription.space;
  if (message.max_in_flight() != 0) subscription.in_flight_max = message.max_in_flight();
  ASSIGN_OR_RETURN(subscription.retry, FromProto(message.retry()));
  if (message.has_ordering()) {
    ASSIGN_OR_RETURN(subscription.ordering, FromProto(message.ordering()));
  }
  if (message.has_rate_limit()) subscription.rate_limit = FromProto(message.rate_limit());
  ASSIGN_OR_RETURN(subscription.batching, FromProto(message.batching()));
  if (message.has_dead_letter_sink()) {
    ASSIGN_OR_RETURN(subscription.dead_letter_sink, FromProto(message.dead_letter_sink(), space));
  }
  if (message.has_time_to_live()) {
    ASSIGN_OR_RETURN(subscription.time_to_live, FromProto("timeToLive", message.time_to_live()));
  }
  ASSIGN_OR_RETURN(subscription.start, FromProto(message.start()));
  if (message.has_pull()) {
    ASSIGN_OR_RETURN(subscription.pull, FromProto(message.pull()));
  }
  if (message.has_group()) {
    ASSIGN_OR_RETURN(subscription.group, FromProto(message.group(), space));
  }
  return absl::OkStatus();
}

// A path's requests are no deliveries.
absl::Status RefusePolicies(const pb::Subscription& message) {
  const std::pair<bool, const char*> given[] = {
      {message.has_retry(), "retry"},
      {message.max_in_flight() != 0, "maxInFlight"},
      {message.has_ordering(), "ordering"},
      {message.has_rate_limit(), "rateLimit"},
      {message.has_batching(), "batching"},
      {message.has_dead_letter_sink(), "deadLetterSink"},
      {message.has_time_to_live(), "timeToLive"},
      {message.has_start(), "start"},
      {message.has_pull(), "pull"},
      {message.has_group(), "group"},
  };
  for (const auto& [set, field] : given) {
    if (set) return FieldError(field, "must not be set together with http");
  }
  return absl::OkStatus();
}

}  // namespace

pb::Subscription ToProto(const Subscription& subscription) {
  pb::Subscription message;
  message.set_name(subscription.Name());
  message.set_uid(subscription.uid);
  message.set_etag(subscription.Etag());
  SetTimestamp(subscription.create_time, message.mutable_create_time());
  SetTimestamp(subscription.update_time, message.mutable_update_time());
  message.set_creator(subscription.creator);
  for (const auto& [key, value] : subscription.metadata) (*message.mutable_metadata())[key] = value;
  message.set_state(ToProto(subscription.state));
  message.set_event_type(subscription.event_type);
  message.set_function(subscription.function);
  for (const Filter& filter : subscription.filters) *message.add_filters() = ToProto(filter);
  if (subscription.timeout) SetDuration(*subscription.timeout, message.mutable_timeout());
  if (subscription.http) {
    message.mutable_http()->set_method(subscription.http->method);
    message.mutable_http()->set_path(subscription.http->path);
    message.mutable_http()->set_host(subscription.http->host);
  } else {
    WritePolicies(subscription, message);
  }
  message.set_effective_sequence(static_cast<std::int64_t>(subscription.effective_sequence));
  message.set_revision(subscription.revision);
  return message;
}

absl::StatusOr<Subscription> FromProto(const pb::Subscription& message, const std::string& space) {
  Subscription subscription;
  subscription.space = space;
  const bool needs_function = message.has_http() || !(message.has_group() || message.has_pull());
  if (message.function().empty() && needs_function) {
    return FieldError("function", "must not be empty: expected the id or the name of a function");
  }
  if (!message.function().empty()) {
    ASSIGN_OR_RETURN(subscription.function,
                     ParseTaggedReference("function", "functions", space, message.function()));
  }
  subscription.event_type = message.event_type();
  subscription.metadata = {message.metadata().begin(), message.metadata().end()};
  ASSIGN_OR_RETURN(subscription.filters, FromProto(message.filters()));
  if (message.has_timeout()) {
    ASSIGN_OR_RETURN(subscription.timeout, FromProto("timeout", message.timeout()));
  }
  if (message.has_http()) {
    subscription.http = {message.http().method(), message.http().path(), message.http().host()};
    RETURN_IF_ERROR(RefusePolicies(message));
  } else {
    RETURN_IF_ERROR(ReadPolicies(message, subscription));
  }
  return subscription;
}

// The public message holds all but three values, which go into a field that is free in storage.
std::string ToStored(const Subscription& subscription) {
  pb::Subscription message = ToProto(subscription);
  message.set_etag(fmt::format("{} {} {}", subscription.match_revision,
                               subscription.function_revision, subscription.drain_to));
  return message.SerializeAsString();
}

absl::StatusOr<Subscription> FromStored(std::string_view bytes) {
  pb::Subscription message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("a stored subscription cannot be read");
  }
  ASSIGN_OR_RETURN(const ResourceName name,
                   ParseResourceName("name", "subscriptions", message.name()));
  ASSIGN_OR_RETURN(Subscription subscription, FromProto(message, name.space));
  subscription.id = name.id;
  subscription.uid = message.uid();
  subscription.creator = message.creator();
  subscription.create_time = FromProto(message.create_time());
  subscription.update_time = FromProto(message.update_time());
  subscription.revision = message.revision();
  subscription.effective_sequence = static_cast<Sequence>(message.effective_sequence());
  subscription.state = StateOf(message);
  subscription.start.resolved = static_cast<Sequence>(message.start().resolved_sequence());
  long long match_revision = 1;
  long long function_revision = 0;
  unsigned long long drain_to = 0;
  if (std::sscanf(message.etag().c_str(), "%lld %lld %llu", &match_revision, &function_revision,
                  &drain_to) != 3) {
    return absl::DataLossError("a stored subscription cannot be read");
  }
  subscription.match_revision = match_revision;
  subscription.function_revision = function_revision;
  subscription.drain_to = drain_to;
  return subscription;
}

}  // namespace penstock::broker
