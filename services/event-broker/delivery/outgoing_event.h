// What delivery reads in events and writes into them on their way out.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// How often an answer may be the answer to an answer.
inline constexpr int kHopsMax = 16;

// Whether the event's own `expirytime` has passed. `body` is a serialized CloudEvent; costs a
// search of it for events without that attribute.
bool HasExpired(std::string_view body, WallTime now);

// The event's hop count; 0 for events that are no answers.
int HopsOf(std::string_view body);

// What is published because of a success: of a subscription to events the answer, of invocations
// the result, for each place where `reply` says that it goes.
absl::StatusOr<std::vector<AppendRequest>> MakeReplies(const DeliveryKey& key,
                                                       const Subscription& subscription,
                                                       const std::string& reply, int hops);

// What is published of an invocation whose policy is used up; nothing when it names no place for
// that.
absl::StatusOr<std::vector<AppendRequest>> MakeFailures(std::string_view body,
                                                        const DeadDelivery& dead,
                                                        const Subscription& subscription);

// A function's answer as the event that is published: with the delivery's id and "/reply" as its
// id. INVALID_ARGUMENT when it is no event that may be published.
absl::StatusOr<AppendRequest> MakeReply(const DeliveryKey& key, const Subscription& subscription,
                                        const std::string& reply, int hops);

// The event with attributes that say why it was given up. DATA_LOSS when it cannot be read.
absl::StatusOr<std::string> MakeSinkEvent(std::string_view body, const DeadDelivery& dead);

// The same as an event of its own, for a sink that is an event type.
absl::StatusOr<AppendRequest> MakeSinkRecord(std::string_view body, const DeadDelivery& dead,
                                             const Subscription& subscription);

// What the attribute `deadletterreason` says.
std::string_view DeadReasonName(DeadReason reason);

}  // namespace penstock::broker
