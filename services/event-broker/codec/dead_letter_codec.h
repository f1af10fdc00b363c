// Dead letters, retries and stored events between their messages and the domain.
#pragma once

#include <penstock/events/v1/dead_letter.pb.h>
#include <penstock/events/v1/event.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// As clients see it.
penstock::events::v1::DeadLetter ToProto(const StoredDeadLetter& letter);

// A reason that clients ask for; the error names `field`.
absl::StatusOr<DeadReason> FromProto(const std::string& field,
                                     penstock::events::v1::DeadLetter::Reason reason);

// The record with its event. DATA_LOSS when the body cannot be read.
absl::StatusOr<penstock::events::v1::StoredEvent> ToProto(const EventRecord& record);

// Attempt logs as the store keeps them.
std::string SerializeAttempts(const std::vector<AttemptRecord>& attempts);
absl::StatusOr<std::vector<AttemptRecord>> ParseAttempts(std::string_view bytes);

// A delivery's key out of the id that functions and clients see; nothing when it has not that form.
std::optional<DeliveryKey> ParseDeliveryId(std::string_view id);

}  // namespace penstock::broker
