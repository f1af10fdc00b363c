// What a function must be like before it is stored.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

inline constexpr std::size_t kSourceBytesMax = std::size_t{512} << 10;
inline constexpr Microseconds kTimeoutMin{1'000};
inline constexpr Microseconds kTimeoutMax{15 * 60 * 1'000'000LL};

// Fills in the defaults that depend on other fields, for example the handler of a Python function.
void FillDefaults(FunctionSpec& spec);

// All problems of `spec` together; their fields are paths below "function".
absl::Status CheckSpec(const FunctionSpec& spec);

}  // namespace penstock::functions
