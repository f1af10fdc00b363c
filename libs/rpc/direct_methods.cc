#include "libs/rpc/direct_methods.h"

#include <vector>

#include "libs/rpc/wire_server.h"

namespace penstock::rpc {

void DirectMethods::Serve(std::string_view method, WireOpening opening) const {
  methods_.find(method)->second->Serve(std::move(opening));
}

bool DirectMethods::Calls::Add(DirectCall* call, std::weak_ptr<void> alive) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  running_.emplace(call, std::move(alive));
  return true;
}

void DirectMethods::Calls::Remove(DirectCall* call) {
  const std::lock_guard lock(mutex_);
  running_.erase(call);
  if (running_.empty()) ended_.notify_all();
}

void DirectMethods::Calls::Stop(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  const auto none = [this] { return running_.empty(); };
  if (ended_.wait_until(lock, deadline, none)) return;
  std::vector<std::pair<DirectCall*, std::shared_ptr<void>>> rest;
  for (const auto& [call, weak] : running_) {
    if (auto alive = weak.lock()) rest.emplace_back(call, std::move(alive));
  }
  lock.unlock();
  for (const auto& [call, alive] : rest) call->Abort();
  lock.lock();
  ended_.wait(lock, none);
}

}  // namespace penstock::rpc
