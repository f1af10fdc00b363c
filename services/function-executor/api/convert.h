// Records, errors and questions: the domain's and the contracts'.
#pragma once

#include <penstock/executions/v1/execution.pb.h>
#include <penstock/executions/v1/executor.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/rpc/call_context.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Lists give so many records at most, and so many when nothing is said.
inline constexpr int kPageSizeMax = 1000;
inline constexpr int kPageSizeDefault = 50;

executions::v1::Execution ToProto(const ExecutionRecord& record);
executions::v1::FunctionError ToProto(const FunctionError& error);
executions::v1::Logs ToProto(const Logs& logs);

google::protobuf::Duration ToProto(Microseconds duration);

// A duration that a caller may set: above zero. The error names `field`. Longer than a day is a
// day.
absl::StatusOr<Microseconds> FromProto(std::string_view field,
                                       const google::protobuf::Duration& duration);

HttpRequestContext FromProto(const executions::v1::HttpRequest& request);

// What a list asks for, without its page token. INVALID_ARGUMENT naming the field.
absl::StatusOr<ExecutionQuery> FromProto(const executions::v1::ListExecutionsRequest& request);

// The revision of the function-manager that the caller must be able to see, from the metadata
// `penstock-min-revision`; 0 for none. INVALID_ARGUMENT when it is malformed; other services' are
// ignored.
absl::StatusOr<std::int64_t> MinFunctionRevision(const rpc::CallContext& call);

// The time until the caller's deadline; nothing when it set none.
std::optional<Microseconds> TimeUntilDeadline(const rpc::CallContext& call, const Clock& clock);

// A new trace, in the form of the W3C's traceparent.
std::string NewTraceparent();

}  // namespace penstock::executor
