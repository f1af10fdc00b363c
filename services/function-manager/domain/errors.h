// The errors that several rules of the function-manager answer with.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/function.h"

namespace penstock::functions {

inline constexpr char kReasonFunctionNotFound[] = "FUNCTION_NOT_FOUND";
inline constexpr char kReasonFunctionExists[] = "FUNCTION_EXISTS";
inline constexpr char kReasonFunctionInUse[] = "FUNCTION_IN_USE";
inline constexpr char kReasonVersionNotFound[] = "FUNCTION_VERSION_NOT_FOUND";
inline constexpr char kReasonAliasNotFound[] = "FUNCTION_ALIAS_NOT_FOUND";
inline constexpr char kReasonAliasInUse[] = "FUNCTION_ALIAS_IN_USE";
inline constexpr char kReasonEtagMismatch[] = "ETAG_MISMATCH";
inline constexpr char kReasonSpaceNotAllowed[] = "SPACE_NOT_ALLOWED";

// NOT_FOUND for a function.
inline absl::Status FunctionNotFound(const FunctionName& name) {
  return WithReason(absl::NotFoundError(fmt::format("Function \"{}\" not found", name.ToString())),
                    kReasonFunctionNotFound, {{"function", name.ToString()}});
}

// Names holders for a refusal: at most five, and whether there are more.
std::string HoldersText(const std::vector<std::string>& holders);
inline constexpr std::size_t kHoldersNamedMax = 5;

}  // namespace penstock::functions
