#include "services/function-manager/api/call_metrics.h"

#include <string>

#include "libs/base/status.h"

namespace penstock::functions {

CallMetrics::CallMetrics(metrics::Registry& registry)
    : requests_(registry.CounterFamily("penstock_functions_requests_total",
                                       "Calls of the function-manager that ended.", {"rpc", "code"},
                                       500)) {}

void CallMetrics::Count(std::string_view rpc, const absl::Status& status) {
  requests_.With({rpc, CodeName(status.code())}).Increment();
}

}  // namespace penstock::functions
