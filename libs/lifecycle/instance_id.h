// The id of an instance of a service, which stays with its data folder.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace penstock::lifecycle {

// Reads <folder>/instance, or creates it with 8 random hexadecimal digits. The folder must exist
// and be held by this process alone.
absl::StatusOr<std::string> LoadInstanceId(const std::string& folder);

}  // namespace penstock::lifecycle
