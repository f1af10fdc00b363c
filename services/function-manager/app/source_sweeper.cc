#include "services/function-manager/app/source_sweeper.h"

#include <algorithm>

#include "libs/log/log.h"

namespace penstock::functions {
namespace {

constexpr Microseconds kIntervalMax{600 * 1'000'000LL};
constexpr int kSweepsPerGrace = 4;

}  // namespace

SourceSweeper::SourceSweeper(SourceKeeper& keeper, Microseconds grace)
    : keeper_(keeper),
      interval_(std::min(grace / kSweepsPerGrace, kIntervalMax)),
      thread_([this] { Run(); }) {}

SourceSweeper::~SourceSweeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SourceSweeper::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
    keeper_.Sweep([](const absl::StatusOr<int>& removed) {
      if (!removed.ok()) {
        log::Warn("sources that no function names could not be removed",
                  {{"error", removed.status()}});
      } else if (*removed > 0) {
        log::Info("removed sources that no function names", {{"count", *removed}});
      }
    });
  }
}

}  // namespace penstock::functions
