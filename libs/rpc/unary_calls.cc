#include "libs/rpc/unary_calls.h"

#include <fmt/format.h>

namespace penstock::rpc {

UnaryCalls::UnaryCalls(UnaryCallsOptions options)
    : options_(std::move(options)), channel_(options_.address) {}

UnaryCalls::~UnaryCalls() { Stop(); }

absl::Status UnaryCalls::Begin() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return absl::UnavailableError("the service is stopping");
  ++running_;
  return absl::OkStatus();
}

void UnaryCalls::End() {
  const std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_all();  // Under the lock: who waits may destroy this object.
}

absl::Status UnaryCalls::Unreachable(const absl::Status& status) const {
  return absl::UnavailableError(fmt::format("{} at {} ({}) cannot be reached: {}", options_.peer,
                                            options_.address, options_.setting,
                                            std::string(status.message())));
}

void UnaryCalls::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  cancellation_->Cancel();
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace penstock::rpc
