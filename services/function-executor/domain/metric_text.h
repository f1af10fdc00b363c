// Measurements that functions emit with their answers, as JSON.
#pragma once

#include <string_view>
#include <vector>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// A list of `{"name", "value", "labels"}`; `value` is 1 where it is missing, `labels` an object of
// strings. What is no such list gives nothing, an element that is none is left out. At most 32 are
// read. Names, labels and values are checked by who counts them.
std::vector<FunctionMetric> ParseMetrics(std::string_view json);

}  // namespace penstock::executor
