// Orders and results, ours and the contract's.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/invoker/sent_call.h"

namespace penstock::broker {

// Fills the empty `message`.
void ToProto(const InvocationOrder& order, internal::v1::Invocation* message);

// The bytes of the events of `order`.
std::size_t EventBytes(const InvocationOrder& order);

// The key of a delivery id; nothing when it is none of ours.
std::optional<DeliveryKey> ParseDeliveryId(const std::string& id);

// The results of `call`, one for each of its events: where a batch succeeded, those that the
// function named as failed are to be tried again. There is one answer, so there is one reply: it
// goes with the first event that did not fail.
std::vector<DeliveryResult> FromProto(const SentCall& call,
                                      const internal::v1::InvocationResult& message);

}  // namespace penstock::broker
