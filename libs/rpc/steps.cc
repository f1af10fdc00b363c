#include "libs/rpc/steps.h"

namespace penstock::rpc {

Steps& Steps::OfThisThread() {
  static thread_local Steps steps;
  return steps;
}

void Steps::RunWaiting() {
  while (!waiting_.empty()) {
    absl::AnyInvocable<void()> step = std::move(waiting_.front());
    waiting_.pop_front();
    std::move(step)();
  }
}

}  // namespace penstock::rpc
