#include "services/function-executor/domain/execution_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/ids.h"

namespace penstock::executor {

ExecutionIds::ExecutionIds(std::string instance, const Clock& clock)
    : instance_(std::move(instance)), clock_(clock), run_(RandomHex(2)) {}

std::string ExecutionIds::Next() {
  std::int64_t micros = ToUnixMicros(clock_.Wall());
  {
    const std::lock_guard lock(mutex_);
    last_micros_ = std::max(last_micros_ + 1, micros);
    micros = last_micros_;
  }
  return fmt::format("{}-{:014x}{}", instance_, micros, run_);
}

std::string_view InstanceOf(std::string_view execution_id) {
  const std::size_t hyphen = execution_id.find('-');
  return hyphen == std::string_view::npos ? std::string_view() : execution_id.substr(0, hyphen);
}

}  // namespace penstock::executor
