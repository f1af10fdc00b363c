// From requests about dead letters to the store's query.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/time_codec.h"
#include "services/event-broker/domain/filter/type_pattern.h"
#include "services/event-broker/ports/dead_letter_store.h"

namespace penstock::broker {

// The conditions that lists, redrives and purges have in common. `query.space` is set.
template <typename Request>
absl::Status SetConditions(const Request& request, DeadLetterQuery& query) {
  if (!request.subscription().empty()) {
    ASSIGN_OR_RETURN(query.subscription, ParseReference("subscription", "subscriptions",
                                                        query.space, request.subscription()));
  }
  if (request.reason() != penstock::events::v1::DeadLetter::REASON_UNSPECIFIED) {
    ASSIGN_OR_RETURN(query.reason, FromProto("reason", request.reason()));
  }
  if (!request.event_type().empty()) {
    RETURN_IF_ERROR(TypePattern::Parse("eventType", request.event_type()).status());
    query.event_type = request.event_type();
  }
  if (request.has_from_time()) query.from_time = FromProto(request.from_time());
  if (request.has_to_time()) query.to_time = FromProto(request.to_time());
  if (query.from_time && query.to_time && *query.from_time > *query.to_time) {
    return FieldError("toTime", "is before fromTime");
  }
  if (!request.error_contains().empty()) query.error_contains = request.error_contains();
  return absl::OkStatus();
}

// The letters that a redrive or purge is about: names, or those of a subscription or of the space
// that have all the other conditions. `limit` is the caller's.
template <typename Request>
absl::StatusOr<DeadLetterQuery> SelectDeadLetters(const Request& request,
                                                  const std::string& space) {
  constexpr int kNamesMax = 1000;
  DeadLetterQuery query;
  query.space = space;
  RETURN_IF_ERROR(SetConditions(request, query));
  const bool has_conditions =
      query.reason || query.event_type || query.from_time || query.to_time || query.error_contains;
  if (request.names_size() > 0 && (query.subscription || request.all() || has_conditions)) {
    return FieldError("names", "must not be set together with other conditions");
  }
  if (query.subscription && request.all()) {
    return FieldError("all", "must not be set together with subscription");
  }
  if (request.names_size() == 0 && !query.subscription && !request.all() && !has_conditions) {
    return FieldError("names", "expected names, a subscription, all, or a condition");
  }
  if (request.names_size() > kNamesMax) return FieldError("names", "more than 1000 names");
  for (const std::string& name : request.names()) {
    ASSIGN_OR_RETURN(std::string id, ParseReference("names", "deadLetters", space, name));
    query.ids.push_back(std::move(id));
  }
  return query;
}

}  // namespace penstock::broker
