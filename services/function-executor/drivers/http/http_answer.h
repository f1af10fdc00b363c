// What an HTTP answer, or its absence, means for a call.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/http/client.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// The outcome of an answer to a call of kind `trigger`. `now` is for a Retry-After that names a
// date.
Outcome ReadHttpAnswer(http::ClientResponse response, TriggerKind trigger, WallTime now);

// The outcome where there is no answer: what http::Client::Send ended with.
Outcome ReadHttpFailure(const absl::Status& status);

// The wait that a Retry-After asks for, in seconds or until an HTTP date; at most a day, at least
// zero.
std::optional<Microseconds> ParseRetryAfter(std::string_view value, WallTime now);

}  // namespace penstock::executor
