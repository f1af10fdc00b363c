#include "services/event-broker/api/publish_time.h"

#include <chrono>
#include <string>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

using io::cloudevents::v1::CloudEvent;

constexpr char kDeliverAt[] = "deliverat";
constexpr char kDeliverAfter[] = "deliverafter";
constexpr char kExpiryTime[] = "expirytime";
constexpr Microseconds kAheadMax = std::chrono::hours(365 * 24);
constexpr char kTooFar[] = "is too far ahead: expected at most 365 days from now";

// Nothing when the event does not have the attribute.
absl::StatusOr<std::optional<WallTime>> TimeAttribute(const CloudEvent& event, const char* name) {
  const auto text = cloudevents::AttributeText(event, name);
  if (!text) return std::nullopt;
  const auto time = ParseRfc3339(*text);
  if (time.ok()) return *time;
  return FieldError(name, "expected a time (RFC 3339), as in \"2026-01-02T15:04:05Z\"");
}

absl::StatusOr<std::optional<WallTime>> DeliveryTime(WallTime now, const CloudEvent& event) {
  ASSIGN_OR_RETURN(const std::optional<WallTime> at, TimeAttribute(event, kDeliverAt));
  const auto after = cloudevents::AttributeText(event, kDeliverAfter);
  if (at && after) return FieldError(kDeliverAfter, "must not be set beside deliverat");
  if (at) {
    if (*at > now + kAheadMax) return FieldError(kDeliverAt, kTooFar);
    return at;
  }
  if (!after) return std::nullopt;
  const auto delay = ParseDuration(*after);
  if (!delay.ok() || delay->count() < 0) {
    return FieldError(kDeliverAfter, "expected a duration, as in \"90s\", \"15m\" or \"1.5h\"");
  }
  if (*delay > kAheadMax) return FieldError(kDeliverAfter, kTooFar);
  return now + *delay;
}

}  // namespace

absl::StatusOr<std::optional<WallTime>> ResolveDueTime(WallTime now, CloudEvent& event) {
  ASSIGN_OR_RETURN(const std::optional<WallTime> due, DeliveryTime(now, event));
  ASSIGN_OR_RETURN(const std::optional<WallTime> expiry, TimeAttribute(event, kExpiryTime));
  if (due && expiry && *expiry <= *due) {
    return FieldError(kExpiryTime, "must lie after the time at which the event is published");
  }
  if (event.attributes().contains(kDeliverAfter)) {
    auto& attributes = *event.mutable_attributes();
    attributes.erase(kDeliverAfter);
    SetTimestamp(*due, attributes[kDeliverAt].mutable_ce_timestamp());
  }
  if (!due || *due <= now) return std::nullopt;
  return due;
}

}  // namespace penstock::broker
