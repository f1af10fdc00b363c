// Timers on the event loops that also do the HTTP calls.
#pragma once

#include <functional>
#include <memory>

#include "libs/http/event_loops.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// Thread-safe. `loops` must outlive it. After the loops stopped no task runs any more.
class LoopTimers final : public Timers {
 public:
  explicit LoopTimers(http::EventLoops& loops) : loops_(loops) {}

  std::shared_ptr<Handle> RunAfter(Microseconds delay, std::function<void()> task) override;

 private:
  http::EventLoops& loops_;
};

}  // namespace penstock::executor
