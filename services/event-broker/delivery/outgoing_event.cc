#include "services/event-broker/delivery/outgoing_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "libs/base/time.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/validate.h"
#include "libs/protojson/deterministic.h"

namespace penstock::broker {
namespace {

using cloudevents::CloudEvent;

constexpr std::string_view kExpiry = "expirytime";
constexpr std::string_view kHops = "penstockhops";
constexpr std::size_t kErrorBytesMax = 1024;

absl::StatusOr<CloudEvent> Parse(std::string_view body) {
  CloudEvent event;
  if (!event.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return absl::DataLossError("the event cannot be read");
  }
  return event;
}

// The attribute's text, without parsing events that do not have it.
std::string FindAttribute(std::string_view body, std::string_view name) {
  if (body.find(name) == std::string_view::npos) return "";
  const auto event = Parse(body);
  if (!event.ok()) return "";
  return cloudevents::AttributeText(*event, name).value_or("");
}

void SetText(CloudEvent& event, std::string_view name, std::string text) {
  (*event.mutable_attributes())[std::string(name)].set_ce_string(std::move(text));
}

void SetHops(CloudEvent& event, int hops) {
  (*event.mutable_attributes())[std::string(kHops)].set_ce_integer(hops);
}

int ParseHops(std::string_view text) {
  int hops = 0;
  std::from_chars(text.data(), text.data() + text.size(), hops);
  return std::clamp(hops, 0, kHopsMax + 1);
}

AppendRequest RequestOf(const CloudEvent& event, const std::string& space) {
  AppendRequest request;
  request.space = space;
  request.type = event.type();
  request.source = event.source();
  request.id = event.id();
  request.ordering_key = cloudevents::AttributeText(event, "partitionkey").value_or("");
  request.body = SharedBytes(protojson::SerializeDeterministic(event));
  return request;
}

// Text as an attribute may hold it: no control characters, whole UTF-8 characters, bounded.
std::string AttributeSafe(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() > kErrorBytesMax) {
    std::size_t end = kErrorBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
  }
  return text;
}

absl::StatusOr<CloudEvent> WithReason(std::string_view body, const DeadDelivery& dead) {
  ASSIGN_OR_RETURN(CloudEvent event, Parse(body));
  SetText(event, "deadletterreason", std::string(DeadReasonName(dead.reason)));
  SetText(event, "deadletterof", dead.key.Id());
  (*event.mutable_attributes())["deadletterattempts"].set_ce_integer(dead.attempts);
  if (!dead.log.empty()) {
    const DeliveryError& error = dead.log.back().error;
    SetText(event, "deadlettererror",
            AttributeSafe(error.type.empty() ? error.message
                                             : fmt::format("{}: {}", error.type, error.message)));
  }
  return event;
}

// Where results of invocations go, as attributes of their events.
constexpr std::string_view kOnSuccess = "penstockonsuccess";
constexpr std::string_view kOnFailure = "penstockonfailure";
constexpr std::string_view kCallback = "penstockcallback";
constexpr std::string_view kCallbackKey = "penstockcallbackkey";
constexpr std::string_view kState = "penstockstate";
constexpr std::string_view kFunctionScheme = "function:";
constexpr std::string_view kTypeScheme = "type:";

std::string TextOf(const CloudEvent& event, std::string_view name) {
  return cloudevents::AttributeText(event, name).value_or("");
}

// One event for each place. Ids come from the delivery, so that doing it again stores nothing
// twice.
std::vector<AppendRequest> ResultsOf(const CloudEvent& result, std::string_view destination_of,
                                     const std::string& id, const Subscription& subscription) {
  std::vector<AppendRequest> requests;
  const std::string destination = TextOf(result, destination_of);
  const std::string callback = TextOf(result, kCallback);
  const std::string callback_key = TextOf(result, kCallbackKey);
  CloudEvent plain = result;
  plain.set_source(
      fmt::format("/spaces/{}/functions/{}", subscription.space, subscription.function));
  SetText(plain, "subject", subscription.function);
  // A destination is called as it is: what this call asked for does not go on.
  for (const std::string_view name :
       {kOnSuccess, kOnFailure, kCallback, kCallbackKey, std::string_view("penstocktag"),
        std::string_view("penstockrevision"), std::string_view("penstockcaller"), kExpiry}) {
    plain.mutable_attributes()->erase(std::string(name));
  }
  if (!callback.empty()) {
    CloudEvent event = plain;
    event.set_type(kInvocationCompleted);
    event.set_id(id + "/callback");
    SetText(event, kCallback, callback);
    if (!callback_key.empty()) SetText(event, kCallbackKey, callback_key);
    requests.push_back(RequestOf(event, subscription.space));
  }
  if (destination.empty()) return requests;
  CloudEvent event = std::move(plain);
  event.set_id(id + "/destination");
  if (destination.starts_with(kFunctionScheme)) {
    event.set_type(kInvocationRequested);
    SetText(event, "subject", destination.substr(kFunctionScheme.size()));
  } else if (destination.starts_with(kTypeScheme)) {
    event.set_type(destination.substr(kTypeScheme.size()));
  }
  requests.push_back(RequestOf(event, subscription.space));
  return requests;
}

}  // namespace

bool HasExpired(std::string_view body, WallTime now) {
  const std::string text = FindAttribute(body, kExpiry);
  if (text.empty()) return false;
  const auto time = ParseRfc3339(text);
  return time.ok() && *time <= now;
}

int HopsOf(std::string_view body) { return ParseHops(FindAttribute(body, kHops)); }

absl::StatusOr<AppendRequest> MakeReply(const DeliveryKey& key, const Subscription& subscription,
                                        const std::string& reply, int hops) {
  auto event = Parse(reply);
  if (!event.ok()) return absl::InvalidArgumentError("the answer cannot be read as an event");
  event->set_id(key.Id() + "/reply");
  SetHops(*event, hops);
  RETURN_IF_ERROR(cloudevents::Validate(*event));
  if (event->type().starts_with("penstock.")) {
    return FieldError("type", "types that begin with \"penstock.\" are reserved");
  }
  for (const char* option : {"deliverat", "deliverafter"}) {
    if (event->attributes().contains(option)) {
      return FieldError(option, "an answer is published at once");
    }
  }
  return RequestOf(*event, subscription.space);
}

absl::StatusOr<std::vector<AppendRequest>> MakeReplies(const DeliveryKey& key,
                                                       const Subscription& subscription,
                                                       const std::string& reply, int hops) {
  if (subscription.purpose() != LanePurpose::kCalls) {
    ASSIGN_OR_RETURN(AppendRequest request, MakeReply(key, subscription, reply, hops));
    return std::vector<AppendRequest>{std::move(request)};
  }
  ASSIGN_OR_RETURN(CloudEvent event, Parse(reply));
  SetHops(event, hops);
  return ResultsOf(event, kOnSuccess, key.Id(), subscription);
}

absl::StatusOr<std::vector<AppendRequest>> MakeFailures(std::string_view body,
                                                        const DeadDelivery& dead,
                                                        const Subscription& subscription) {
  ASSIGN_OR_RETURN(CloudEvent event, WithReason(body, dead));
  if (HopsOf(body) >= kHopsMax) return std::vector<AppendRequest>();
  SetHops(event, HopsOf(body) + 1);
  SetText(event, kState, "FAILED");
  return ResultsOf(event, kOnFailure, dead.key.Id(), subscription);
}

absl::StatusOr<std::string> MakeSinkEvent(std::string_view body, const DeadDelivery& dead) {
  ASSIGN_OR_RETURN(const CloudEvent event, WithReason(body, dead));
  return protojson::SerializeDeterministic(event);
}

absl::StatusOr<AppendRequest> MakeSinkRecord(std::string_view body, const DeadDelivery& dead,
                                             const Subscription& subscription) {
  ASSIGN_OR_RETURN(CloudEvent event, WithReason(body, dead));
  event.set_type(subscription.dead_letter_sink.event_type);
  event.set_source(fmt::format("/spaces/{}/deadLetters", subscription.space));
  event.set_id(dead.key.Id());
  // Expired or not, it is news there; and a sink whose own failures come back to it must end.
  event.mutable_attributes()->erase(std::string(kExpiry));
  SetHops(event, HopsOf(body) + 1);
  return RequestOf(event, subscription.space);
}

std::string_view DeadReasonName(DeadReason reason) {
  switch (reason) {
    case DeadReason::kAttemptsExhausted: return "ATTEMPTS_EXHAUSTED";
    case DeadReason::kExpired: return "EXPIRED";
    case DeadReason::kPermanent: return "PERMANENT_FAILURE";
    case DeadReason::kExecutorLost: return "EXECUTOR_LOST";
    case DeadReason::kKeyFailed: return "KEY_FAILED";
    case DeadReason::kHopLimit: return "HOP_LIMIT";
    case DeadReason::kRetention: return "RETENTION";
  }
  return "UNSPECIFIED";
}

}  // namespace penstock::broker
