#include "services/event-broker/storage/publish_gate.h"

#include <fmt/format.h>

#include "libs/base/status.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

void PublishGate::Close(std::set<std::string, std::less<>> spaces) {
  const std::lock_guard lock(mutex_);
  spaces_ = std::move(spaces);
  any_ = !spaces_.empty();
}

absl::Status PublishGate::Check(std::string_view space) {
  if (!any_.load(std::memory_order_relaxed)) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  if (!spaces_.contains(space)) return absl::OkStatus();
  refused_.fetch_add(1, std::memory_order_relaxed);
  return WithReason(
      absl::ResourceExhaustedError(fmt::format(
          "space {} takes no more events: subscriptions of it hold back too much of the log",
          std::string(space))),
      kReasonPinLimit);
}

std::vector<std::string> PublishGate::closed() const {
  const std::lock_guard lock(mutex_);
  return {spaces_.begin(), spaces_.end()};
}

}  // namespace penstock::broker
