// Runs the sweep of sources from time to time.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "libs/base/time.h"
#include "services/function-manager/domain/source_keeper.h"

namespace penstock::functions {

// A thread that sweeps four times in a grace, and at least every ten minutes, from its making to
// its end. `keeper` and its store must outlive it.
class SourceSweeper {
 public:
  SourceSweeper(SourceKeeper& keeper, Microseconds grace);
  ~SourceSweeper();
  SourceSweeper(const SourceSweeper&) = delete;
  SourceSweeper& operator=(const SourceSweeper&) = delete;

 private:
  void Run();

  SourceKeeper& keeper_;
  const Microseconds interval_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::functions
