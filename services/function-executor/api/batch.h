// Several events for one call of a function.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <string_view>

#include "absl/status/status.h"
#include "libs/cloudevents/event.h"
#include "services/function-executor/domain/classify.h"
#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// The attribute by which each event of a batch tells its delivery id.
inline constexpr char kDeliveryAttribute[] = "penstockdelivery";

// Whether the function gets a list.
bool IsBatch(const internal::v1::Invocation& invocation);

// The parts of an event that a function gets. The event's payload may be moved from.
BatchedEvent ToDomain(cloudevents::CloudEvent* event);

// Sets payload, content type, first event and batch of `order`. INVALID_ARGUMENT naming the field.
absl::Status SetBatch(const internal::v1::Invocation& invocation, InvokeOrder* order);

// Takes `failedDeliveryIds` from the answer to a batch that succeeded, and writes those that are of
// the batch into `result`. An answer that has that member in another form fails the whole batch:
// who wrote it meant to report failures.
DeliveryVerdict FillFailed(const Batch& batch, const Outcome& outcome, DeliveryVerdict verdict,
                           internal::v1::InvocationResult* result);

}  // namespace penstock::executor
