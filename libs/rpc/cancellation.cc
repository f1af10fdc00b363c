#include "libs/rpc/cancellation.h"

#include <utility>

namespace penstock::rpc {

void Cancellation::Cancel() {
  std::map<std::uint64_t, std::function<void()>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
    cancelled_ = true;
    callbacks.swap(callbacks_);
  }
  for (const auto& [id, callback] : callbacks) callback();
}

bool Cancellation::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

std::uint64_t Cancellation::Subscribe(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      callbacks_.emplace(next_id_, std::move(callback));
      return next_id_++;
    }
  }
  callback();
  return 0;
}

void Cancellation::Unsubscribe(std::uint64_t id) {
  std::function<void()> dropped;  // Destroyed after the lock: it may own what subscribes elsewhere.
  const std::lock_guard lock(mutex_);
  const auto found = callbacks_.find(id);
  if (found == callbacks_.end()) return;
  dropped = std::move(found->second);
  callbacks_.erase(found);
}

}  // namespace penstock::rpc
