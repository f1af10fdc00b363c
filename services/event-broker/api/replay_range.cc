#include "services/event-broker/api/replay_range.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kRateMax = 1'000'000;

}  // namespace

absl::Status CheckReplayRequest(const pb::ReplaySubscriptionRequest& request, WallTime now) {
  if (request.from_sequence() < 0) return FieldError("fromSequence", "must not be negative");
  if (request.to_sequence() < 0) return FieldError("toSequence", "must not be negative");
  if (request.rate_per_second() < 0 || request.rate_per_second() > kRateMax) {
    return FieldError("ratePerSecond", "expected 1 to 1000000, or 0 for no limit");
  }
  if (request.from_sequence() > 0 && request.has_from_time()) {
    return FieldError("fromTime", "must not be set together with fromSequence");
  }
  if (request.to_sequence() > 0 && request.has_to_time()) {
    return FieldError("toTime", "must not be set together with toSequence");
  }
  if (request.has_from_time() && FromProto(request.from_time()) > now) {
    return FieldError("fromTime", "lies in the future");
  }
  if (request.has_from_time() && request.has_to_time() &&
      FromProto(request.from_time()) > FromProto(request.to_time())) {
    return FieldError("toTime", "is before fromTime");
  }
  if (request.to_sequence() > 0 && request.from_sequence() > request.to_sequence()) {
    return FieldError("toSequence", "is below fromSequence");
  }
  return absl::OkStatus();
}

absl::StatusOr<ReplayRange> ResolveReplayRange(const pb::ReplaySubscriptionRequest& request,
                                               EventLog& log) {
  const Sequence horizon = std::max<Sequence>(log.horizon(), 1);
  const Sequence head = log.head();
  if (head < horizon) return FieldError("fromSequence", "there are no events to replay");
  ReplayRange range{horizon, head};
  if (request.from_sequence() > 0) {
    range.from = static_cast<Sequence>(request.from_sequence());
    if (range.from < horizon) {
      return absl::OutOfRangeError(fmt::format(
          "fromSequence: {} is no longer kept: the oldest kept is {}", range.from, horizon));
    }
    if (range.from > head) {
      return absl::OutOfRangeError(
          fmt::format("fromSequence: {} is above the newest, which is {}", range.from, head));
    }
  }
  if (request.to_sequence() > 0) {
    range.to = static_cast<Sequence>(request.to_sequence());
    if (range.to > head) {
      return absl::OutOfRangeError(
          fmt::format("toSequence: {} is above the newest, which is {}", range.to, head));
    }
    if (range.to < horizon) {
      return absl::OutOfRangeError(fmt::format(
          "toSequence: {} is no longer kept: the oldest kept is {}", range.to, horizon));
    }
  }
  if (request.has_from_time()) {
    ASSIGN_OR_RETURN(const Sequence found, log.FirstAtOrAfter(FromProto(request.from_time())));
    range.from = std::max(horizon, found);
    if (range.from > range.to) {
      return FieldError("fromTime", "no event of the range was appended at or after it");
    }
  }
  if (request.has_to_time()) {
    ASSIGN_OR_RETURN(const Sequence found, log.FirstAtOrAfter(FromProto(request.to_time())));
    range.to = std::min(head, found - 1);
    if (range.to < range.from) {
      return FieldError("toTime", "no event of the range was appended before it");
    }
  }
  return range;
}

}  // namespace penstock::broker
