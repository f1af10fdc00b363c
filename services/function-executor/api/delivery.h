// Deliveries: the contract's and the domain's.
#pragma once

#include <penstock/internal/v1/invocation.pb.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "services/function-executor/api/async_delivery.h"
#include "services/function-executor/domain/classify.h"
#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// The call that `invocation` asks for. INVALID_ARGUMENT naming the field. `route` is set when it is
// an asynchronous invocation.
absl::StatusOr<InvokeOrder> ToOrder(const internal::v1::Invocation& invocation,
                                    std::optional<AsyncRoute>* route);

// Writes how an attempt ended; not what it is the result of.
void FillResult(const DeliveryVerdict& verdict, internal::v1::InvocationResult* result);

// The function's answer as a serialized event where it is one (structured JSON or protobuf); else
// empty.
std::string ReplyOf(const Outcome& outcome);

}  // namespace penstock::executor
