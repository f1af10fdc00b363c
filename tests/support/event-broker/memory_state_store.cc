#include "tests/support/event-broker/memory_state_store.h"

namespace penstock::broker {

MemoryStateStore::MemoryStateStore(StateOptions options, MemoryState state)
    : options_{options.dedup_window, options.clock == nullptr ? &SystemClock() : options.clock},
      state_(std::move(state)),
      epoch_(++state_.epoch) {}

void MemoryStateStore::Hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

std::size_t MemoryStateStore::held() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

void MemoryStateStore::FailWrites(absl::Status status) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(status);
}

bool MemoryStateStore::RunNext() {
  Write write;
  {
    const std::lock_guard lock(mutex_);
    if (held_.empty()) return false;
    write = std::move(held_.front());
    held_.pop_front();
  }
  RunWrite(std::move(write));
  return true;
}

void MemoryStateStore::RunWrite(Write write) {
  absl::Status status;
  {
    const std::lock_guard lock(mutex_);
    if (crashed_) return;
    status = failure_.ok() ? write.job(state_) : failure_;
  }
  write.done(std::move(status));
}

void MemoryStateStore::Post(std::function<absl::Status(MemoryState&)> job, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (crashed_) return;
    if (readable_ && holding_) {
      held_.push_back({std::move(job), std::move(done)});
      return;
    }
    if (!readable_) job = [](MemoryState&) { return absl::UnavailableError("store is stopped"); };
  }
  RunWrite({std::move(job), std::move(done)});
}

std::unique_ptr<MemoryStateStore> MemoryStateStore::Crash() {
  const std::lock_guard lock(mutex_);
  crashed_ = true;
  readable_ = false;
  held_.clear();
  return std::make_unique<MemoryStateStore>(options_, state_);
}

absl::Status MemoryStateStore::Backup(const std::string&) {
  return absl::UnimplementedError("a store in memory has no file");
}

void MemoryStateStore::Stop() {
  while (RunNext()) {
  }
  const std::lock_guard lock(mutex_);
  readable_ = false;
}

}  // namespace penstock::broker
