#include "services/event-broker/codec/subscription_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kFilterDepthMax = 16;  // The domain allows 8; this only bounds the recursion here.

pb::Filter ToProto(const Filter& filter) {
  pb::Filter message;
  const auto fill = [&](google::protobuf::Map<std::string, std::string>* map) {
    for (const auto& [name, value] : filter.attributes) (*map)[name] = value;
  };
  switch (filter.kind) {
    case Filter::Kind::kExact: fill(message.mutable_exact()); break;
    case Filter::Kind::kPrefix: fill(message.mutable_prefix()); break;
    case Filter::Kind::kSuffix: fill(message.mutable_suffix()); break;
    case Filter::Kind::kAll:
      for (const Filter& child : filter.children) *message.add_all() = ToProto(child);
      break;
    case Filter::Kind::kAny:
      for (const Filter& child : filter.children) *message.add_any() = ToProto(child);
      break;
    case Filter::Kind::kNot: *message.mutable_not_() = ToProto(filter.children.front()); break;
  }
  return message;
}

std::vector<std::pair<std::string, std::string>> Sorted(
    const google::protobuf::Map<std::string, std::string>& map) {
  std::vector<std::pair<std::string, std::string>> pairs(map.begin(), map.end());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

absl::StatusOr<Filter> ReadFilter(const pb::Filter& message, const std::string& path, int depth) {
  if (depth > kFilterDepthMax) return FieldError(path, "is nested too deep");
  const int set = !message.exact().empty() + !message.prefix().empty() + !message.suffix().empty() +
                  !message.all().empty() + !message.any().empty() + message.has_not_();
  if (set != 1) {
    return FieldError(path, "expected exactly one of exact, prefix, suffix, all, any, not");
  }
  Filter filter;
  const auto children = [&](const auto& list, const char* name) -> absl::Status {
    for (int i = 0; i < list.size(); ++i) {
      ASSIGN_OR_RETURN(Filter child,
                       ReadFilter(list[i], fmt::format("{}.{}[{}]", path, name, i), depth + 1));
      filter.children.push_back(std::move(child));
    }
    return absl::OkStatus();
  };
  if (!message.exact().empty()) {
    filter.kind = Filter::Kind::kExact;
    filter.attributes = Sorted(message.exact());
  } else if (!message.prefix().empty()) {
    filter.kind = Filter::Kind::kPrefix;
    filter.attributes = Sorted(message.prefix());
  } else if (!message.suffix().empty()) {
    filter.kind = Filter::Kind::kSuffix;
    filter.attributes = Sorted(message.suffix());
  } else if (!message.all().empty()) {
    filter.kind = Filter::Kind::kAll;
    RETURN_IF_ERROR(children(message.all(), "all"));
  } else if (!message.any().empty()) {
    filter.kind = Filter::Kind::kAny;
    RETURN_IF_ERROR(children(message.any(), "any"));
  } else {
    filter.kind = Filter::Kind::kNot;
    ASSIGN_OR_RETURN(Filter child, ReadFilter(message.not_(), path + ".not", depth + 1));
    filter.children.push_back(std::move(child));
  }
  return filter;
}

absl::Status ReadRetry(const pb::RetryPolicy& message, RetryPolicy& retry) {
  if (message.max_attempts() != 0) retry.attempts_max = message.max_attempts();
  if (message.multiplier() != 0) retry.multiplier = message.multiplier();
  if (message.jitter() != 0) retry.jitter = message.jitter() < 0 ? 0 : message.jitter();
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
  if (message.has_max_age()) {
    ASSIGN_OR_RETURN(retry.age_max, FromProto("retry.maxAge", message.max_age()));
  }
  return absl::OkStatus();
}

void WriteRetry(const RetryPolicy& retry, pb::RetryPolicy& message) {
  message.set_max_attempts(retry.attempts_max);
  message.set_multiplier(retry.multiplier);
  message.set_jitter(retry.jitter == 0 ? -1 : retry.jitter);
  SetDuration(retry.delay_initial, message.mutable_initial_delay());
  SetDuration(retry.delay_max, message.mutable_max_delay());
  SetDuration(retry.age_max, message.mutable_max_age());
}

pb::Subscription::State ToProto(SubscriptionState state) {
  switch (state) {
    case SubscriptionState::kPending: return pb::Subscription::PENDING;
    case SubscriptionState::kActive: return pb::Subscription::ACTIVE;
    case SubscriptionState::kPaused: return pb::Subscription::PAUSED;
  }
  return pb::Subscription::STATE_UNSPECIFIED;
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
    WriteRetry(subscription.retry, *message.mutable_retry());
    message.set_max_in_flight(subscription.in_flight_max);
  }
  message.set_effective_sequence(static_cast<std::int64_t>(subscription.effective_sequence));
  message.set_revision(subscription.revision);
  return message;
}

absl::StatusOr<Subscription> FromProto(const pb::Subscription& message, const std::string& space) {
  Subscription subscription;
  subscription.space = space;
  if (message.function().empty()) {
    return FieldError("function", "must not be empty: expected the id or the name of a function");
  }
  ASSIGN_OR_RETURN(subscription.function,
                   ParseReference("function", "functions", space, message.function()));
  subscription.event_type = message.event_type();
  subscription.metadata = {message.metadata().begin(), message.metadata().end()};
  for (int i = 0; i < message.filters_size(); ++i) {
    ASSIGN_OR_RETURN(Filter filter,
                     ReadFilter(message.filters(i), fmt::format("filters[{}]", i), 1));
    subscription.filters.push_back(std::move(filter));
  }
  if (message.has_timeout()) {
    ASSIGN_OR_RETURN(subscription.timeout, FromProto("timeout", message.timeout()));
  }
  if (message.has_http()) {
    subscription.http = {message.http().method(), message.http().path(), message.http().host()};
    if (message.has_retry()) return FieldError("retry", "must not be set together with http");
    if (message.max_in_flight() != 0) {
      return FieldError("maxInFlight", "must not be set together with http");
    }
    return subscription;
  }
  if (message.max_in_flight() != 0) subscription.in_flight_max = message.max_in_flight();
  RETURN_IF_ERROR(ReadRetry(message.retry(), subscription.retry));
  return subscription;
}

absl::Status ApplyMask(const std::set<std::string>& paths, const pb::Subscription& from,
                       pb::Subscription& target) {
  for (const std::string& path : paths) {
    const bool all = path == "*";
    if (all || path == "event_type") target.set_event_type(from.event_type());
    if (all || path == "function") target.set_function(from.function());
    if (all || path == "filters") *target.mutable_filters() = from.filters();
    if (all || path == "metadata") *target.mutable_metadata() = from.metadata();
    if (all || path == "max_in_flight") target.set_max_in_flight(from.max_in_flight());
    const auto copy_message = [&](bool has, auto copy, auto clear) { has ? copy() : clear(); };
    if (all || path == "retry") {
      copy_message(
          from.has_retry(), [&] { *target.mutable_retry() = from.retry(); },
          [&] { target.clear_retry(); });
    }
    if (all || path == "timeout") {
      copy_message(
          from.has_timeout(), [&] { *target.mutable_timeout() = from.timeout(); },
          [&] { target.clear_timeout(); });
    }
    if (all || path == "http") {
      copy_message(
          from.has_http(), [&] { *target.mutable_http() = from.http(); },
          [&] { target.clear_http(); });
    }
    static const std::set<std::string> kKnown = {"*",       "event_type", "function",
                                                 "filters", "metadata",   "max_in_flight",
                                                 "retry",   "timeout",    "http"};
    if (kKnown.contains(path)) continue;
    const auto dot = path.find('.');
    const std::string head = path.substr(0, dot);
    if (dot != std::string::npos && (head == "retry" || head == "http" || head == "metadata")) {
      return FieldError("updateMask",
                        fmt::format("\"{}\" names a part of \"{}\": name \"{}\" and send "
                                    "it whole",
                                    path, head, head));
    }
    return FieldError(
        "updateMask",
        fmt::format("\"{}\" is not a field that can change: expected event_type, "
                    "function, filters, metadata, max_in_flight, retry, timeout, http "
                    "or *",
                    path));
  }
  return absl::OkStatus();
}

// The public message holds all but three values, which go into fields that are free in storage.
std::string ToStored(const Subscription& subscription) {
  pb::Subscription message = ToProto(subscription);
  message.set_etag(
      fmt::format("{} {}", subscription.match_revision, subscription.function_revision));
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
  subscription.state = message.state() == pb::Subscription::PAUSED    ? SubscriptionState::kPaused
                       : message.state() == pb::Subscription::PENDING ? SubscriptionState::kPending
                                                                      : SubscriptionState::kActive;
  long long match_revision = 1;
  long long function_revision = 0;
  if (std::sscanf(message.etag().c_str(), "%lld %lld", &match_revision, &function_revision) != 2) {
    return absl::DataLossError("a stored subscription cannot be read");
  }
  subscription.match_revision = match_revision;
  subscription.function_revision = function_revision;
  return subscription;
}

}  // namespace penstock::broker
