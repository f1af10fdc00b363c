// Something that happens later.
#pragma once

#include <functional>
#include <memory>

#include "libs/base/time.h"

namespace penstock::executor {

// Thread-safe.
class Timers {
 public:
  // A timer that runs. Dropping it does not stop it. Thread-safe.
  class Handle {
   public:
    virtual ~Handle() = default;
    // The task may be running already when this returns.
    virtual void Cancel() = 0;
  };

  virtual ~Timers() = default;

  // Runs `task` once after `delay`, on a thread of the timers', never inside this call. It must not
  // block.
  virtual std::shared_ptr<Handle> RunAfter(Microseconds delay, std::function<void()> task) = 0;
};

}  // namespace penstock::executor
