#include "services/event-broker/app/reconciler.h"

#include <algorithm>
#include <chrono>

#include "libs/log/log.h"

namespace penstock::broker {

using namespace std::chrono_literals;

Reconciler::Reconciler(const SubscriptionCatalog& catalog, FunctionReferences& references)
    : catalog_(catalog), references_(references), thread_([this] { Run(); }) {}

Reconciler::~Reconciler() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  thread_.join();
}

void Reconciler::Run() {
  std::unique_lock lock(state_->mutex);
  std::chrono::milliseconds pause = 200ms;
  while (!state_->stopping && !state_->done) {
    state_->answered = false;
    lock.unlock();
    references_.Reconcile(
        catalog_.References(),
        [state =
             state_](const absl::StatusOr<std::vector<FunctionReferences::Reference>>& missing) {
          if (missing.ok()) {
            for (const auto& reference : *missing) {
              log::Warn("a subscription names a function that does not exist",
                        {{"subscription", reference.holder}, {"function", reference.function}});
            }
          }
          const std::lock_guard guard(state->mutex);
          state->answered = true;
          state->done = missing.ok();
          state->wake.notify_all();
        });
    lock.lock();
    state_->wake.wait(lock, [this] { return state_->stopping || state_->answered; });
    if (!state_->done) {
      state_->wake.wait_for(lock, pause, [this] { return state_->stopping; });
      pause = std::min<std::chrono::milliseconds>(pause * 2, 5s);
    }
  }
}

}  // namespace penstock::broker
