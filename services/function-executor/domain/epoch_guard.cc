#include "services/function-executor/domain/epoch_guard.h"

namespace penstock::executor {

bool EpochGuard::Admit(const std::string& subscription, std::int64_t epoch) {
  const std::lock_guard lock(mutex_);
  const auto known = newest_.find(subscription);
  if (known != newest_.end()) {
    if (epoch < known->second) return false;
    known->second = epoch;
    return true;
  }
  if (newest_.size() >= subscriptions_max_) newest_.clear();
  newest_.emplace(subscription, epoch);
  return true;
}

}  // namespace penstock::executor
