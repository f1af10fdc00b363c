// Whether a jq program can be used.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::jq {

// "penstock-jq" beside the running executable, or in "../bin" from there.
std::string FindWorker();

// Compiles `program` in a process of its own, `worker` (see FindWorker): libjq takes 13 s of CPU
// for 16 KiB of brackets, and nothing stops it. INVALID_ARGUMENT naming `field`, with jq's own
// message and the line, for one that is empty, longer than kProgramBytesMax, does not compile (in 5
// s, in 256 MiB), or names what it may not (refused_names.h). UNAVAILABLE when the worker does not
// start. Runs nothing of it. Blocks for about 50 ms.
absl::Status Check(std::string_view field, std::string_view program, const std::string& worker);

}  // namespace penstock::jq
