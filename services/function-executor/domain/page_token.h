// Page tokens of lists: the position of the last record that was given, and what it was asked with.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/execution.h"

namespace penstock::executor {

// The token for what comes after `position` in the answer to `query`.
std::string MakePageToken(const ExecutionPosition& position, const ExecutionQuery& query);

// The position that `token` stands for. INVALID_ARGUMENT naming `page_token` when it is no token,
// or one of a list with other filters than `query`.
absl::StatusOr<ExecutionPosition> ParsePageToken(std::string_view token,
                                                 const ExecutionQuery& query);

}  // namespace penstock::executor
