#include "services/event-broker/app/reconciler.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

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

// Until a snapshot of all holds has met no change on its way: a hold that began meanwhile would
// have been ended by it. Then again whenever the outcome of a release is not known.
void Reconciler::Run() {
  std::unique_lock lock(state_->mutex);
  const auto stopping = [this] { return state_->stopping; };
  std::chrono::milliseconds pause = 200ms;
  std::optional<std::uint64_t> doubts;  // That the last reconciliation ended.
  while (!state_->stopping) {
    const auto before = catalog_.reference_counts();
    if (doubts == before.doubts) {
      state_->wake.wait_for(lock, 1s, stopping);
      continue;
    }
    state_->answered = false;
    lock.unlock();
    Reconcile();
    lock.lock();
    state_->wake.wait(lock, [this] { return state_->stopping || state_->answered; });
    if (state_->stopping) return;
    if (state_->succeeded) {
      pause = 200ms;
      const bool quiet =
          before.in_flight == 0 && catalog_.reference_counts().changes == before.changes;
      if (quiet) {
        doubts = before.doubts;
      } else {
        state_->wake.wait_for(lock, 20ms, stopping);
      }
      continue;
    }
    state_->wake.wait_for(lock, pause, stopping);
    pause = std::min<std::chrono::milliseconds>(pause * 2, 5s);
  }
}

void Reconciler::Reconcile() {
  references_.Reconcile(
      catalog_.References(),
      [state = state_](const absl::StatusOr<std::vector<FunctionReferences::Reference>>& missing) {
        if (missing.ok()) {
          for (const auto& reference : *missing) {
            log::Warn("a subscription names a function that does not exist",
                      {{"subscription", reference.holder}, {"function", reference.function}});
          }
        }
        const std::lock_guard guard(state->mutex);
        state->answered = true;
        state->succeeded = missing.ok();
        state->wake.notify_all();
      });
}

}  // namespace penstock::broker
