// Errors as google.rpc.Status in JSON: what /api and /events answer.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace penstock::protojson {

// {"code":5,"message":"…","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",…}]}.
// Payloads of types that are not compiled in are left out. Never fails; OK gives
// {"code":0,"message":""}.
std::string StatusToJson(const absl::Status& status);

}  // namespace penstock::protojson
