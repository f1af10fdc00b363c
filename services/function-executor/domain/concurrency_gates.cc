#include "services/function-executor/domain/concurrency_gates.h"

#include <algorithm>
#include <utility>

namespace penstock::executor {

ConcurrencyGates::Entry ConcurrencyGates::Enter(const std::string& uid, int limit,
                                                const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex_);
  Gate& gate = gates_[uid];
  gate.limit = limit;
  if (gate.running < limit && gate.queue.empty()) {
    ++gate.running;
    return Entry::kAdmitted;
  }
  if (gate.queue.size() >= queue_max_) return Entry::kFull;
  gate.queue.push_back(waiter);
  ++queued_;
  return Entry::kQueued;
}

bool ConcurrencyGates::Leave(const std::string& uid, const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find(uid);
  if (found == gates_.end()) return false;
  auto& queue = found->second.queue;
  const auto place = std::find(queue.begin(), queue.end(), waiter);
  if (place == queue.end()) return false;
  queue.erase(place);
  --queued_;
  return true;
}

void ConcurrencyGates::Release(const std::string& uid) {
  std::unique_lock lock(mutex_);
  Gate& gate = gates_[uid];
  --gate.running;
  // A call that ends inside OnAdmitted comes back here: the loop below it goes on, so that a queue
  // of calls that end at once does not grow the stack.
  if (gate.admitting) return;
  gate.admitting = true;
  while (!gate.queue.empty() && gate.running < gate.limit) {
    const std::shared_ptr<Waiter> next = std::move(gate.queue.front());
    gate.queue.pop_front();
    --queued_;
    ++gate.running;
    lock.unlock();
    next->OnAdmitted();
    lock.lock();
  }
  gate.admitting = false;
  if (gate.running == 0 && gate.queue.empty()) gates_.erase(uid);
}

std::size_t ConcurrencyGates::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

}  // namespace penstock::executor
