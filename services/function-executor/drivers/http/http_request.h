// What an invocation looks like as an HTTP request.
#pragma once

#include "absl/status/statusor.h"
#include "libs/http/client.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// The request for `invocation`, whose function must have an HttpTarget: method, URL, headers and
// body; its limits are left to the caller. INVALID_ARGUMENT when the payload or the event cannot be
// sent in the format that the function asks for: that is the caller's fault.
absl::StatusOr<http::ClientRequest> MakeHttpRequest(const Invocation& invocation);

}  // namespace penstock::executor
