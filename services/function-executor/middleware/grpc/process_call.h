// The messages of a `grpc` step.
#pragma once

#include "libs/base/time.h"
#include "penstock/runtime/v1/runtime.pb.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// What a service is told of a call, but for what it is asked about: payload, error and `after`.
runtime::v1::ProcessCallRequest DescribeCall(const Invocation& call, Microseconds time_left);

executions::v1::FunctionError ErrorToProto(const FunctionError& error);
// With the defaults of ProcessCallResponse.error.
FunctionError ErrorFromProto(const executions::v1::FunctionError& error);

}  // namespace penstock::executor
