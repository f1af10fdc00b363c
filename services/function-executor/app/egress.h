// The egress policy of this service's configuration.
#pragma once

#include "absl/status/statusor.h"
#include "libs/http/egress.h"
#include "services/function-executor/app/config.h"

namespace penstock::executor {

// INVALID_ARGUMENT naming `egress.allow` or `egress.denied_ports`.
absl::StatusOr<http::EgressPolicy> MakeEgressPolicy(const Config& config);

}  // namespace penstock::executor
