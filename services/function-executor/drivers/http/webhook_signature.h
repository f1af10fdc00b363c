// Signed requests, after Standard Webhooks 1.0.0 (https://www.standardwebhooks.com).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/http/client.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Sets `webhook-id`, `webhook-timestamp` and `webhook-signature` of a request that is complete
// otherwise, with a signature by each value of `secret`, in the order of their keys: "whsec_" and
// the key in base64, or else the key itself. FAILED_PRECONDITION for a secret without values, an
// empty one, and one that is no base64 behind "whsec_"; it tells the value's key, and never the
// value.
absl::Status SignWebhook(const SecretValues& secret, const std::string& id, WallTime now,
                         http::ClientRequest* request);

}  // namespace penstock::executor
