// A batch of events after a middleware changed it.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// `batch` with the data of `json`, which is in the CloudEvents JSON batch format and has the same
// events in their order. INVALID_ARGUMENT when it is not, saying what is wrong.
absl::StatusOr<std::shared_ptr<const Batch>> ReadBatchInput(const Batch& batch,
                                                            std::string_view json);

}  // namespace penstock::executor
