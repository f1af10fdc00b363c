// The parts of a subscription between their messages and the domain. Shape only: defaults for what
// is unset, known enum values, exactly one field where only one may be set. Errors name the field
// as the subscription has it.
#pragma once

#include <penstock/events/v1/subscription.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "services/event-broker/domain/catalog/subscription.h"

namespace penstock::broker {

absl::StatusOr<RetryPolicy> FromProto(const penstock::events::v1::RetryPolicy& message);
penstock::events::v1::RetryPolicy ToProto(const RetryPolicy& retry);

absl::StatusOr<OrderingPolicy> FromProto(const penstock::events::v1::Ordering& message);
penstock::events::v1::Ordering ToProto(const OrderingPolicy& ordering);

RateLimit FromProto(const penstock::events::v1::RateLimit& message);
penstock::events::v1::RateLimit ToProto(const RateLimit& rate);

absl::StatusOr<BatchPolicy> FromProto(const penstock::events::v1::Batching& message);
penstock::events::v1::Batching ToProto(const BatchPolicy& batching);

absl::StatusOr<DeadLetterSink> FromProto(const penstock::events::v1::DeadLetterSink& message,
                                         const std::string& space);
penstock::events::v1::DeadLetterSink ToProto(const DeadLetterSink& sink);

// Without `resolved`, which clients do not set.
absl::StatusOr<StartPosition> FromProto(const penstock::events::v1::StartPosition& message);
penstock::events::v1::StartPosition ToProto(const StartPosition& start);

absl::StatusOr<PullPolicy> FromProto(const penstock::events::v1::Pull& message);
penstock::events::v1::Pull ToProto(const PullPolicy& pull);

absl::StatusOr<SubscriberGroup> FromProto(const penstock::events::v1::SubscriberGroup& message,
                                          const std::string& space);
penstock::events::v1::SubscriberGroup ToProto(const SubscriberGroup& group);

}  // namespace penstock::broker
