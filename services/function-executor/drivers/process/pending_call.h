// A call between Start and its outcome.
#pragma once

#include <optional>
#include <utility>

#include "services/function-executor/drivers/process/event_loop.h"
#include "services/function-executor/ports/driver.h"

namespace penstock::executor {

// Of calls and starts that come too late.
inline FunctionError ExecutorStopping() {
  return {.category = ErrorCategory::kSystem,
          .type = "Unavailable",
          .message = "the executor is stopping"};
}

// Lives on the event loop's thread once it is posted there.
struct PendingCall {
  Invocation invocation;
  Driver::Done done;
  Microseconds limit{};  // From arrival to deadline; for the message of a time-out.
  std::optional<EventLoop::Timer> deadline_timer;
  bool timed_out = false;  // The deadline passed while the call was under way.
  bool finished = false;

  // Calls `done`, unless that has happened.
  void Finish(Outcome outcome) {
    if (std::exchange(finished, true)) return;
    deadline_timer.reset();
    outcome.timed_out = timed_out;
    if (!outcome.payload) outcome.payload = std::make_shared<const std::string>();
    const Driver::Done call = std::exchange(done, nullptr);
    invocation.payload.reset();
    call(std::move(outcome));
  }

  void Fail(FunctionError error, Logs logs = {}) {
    Outcome outcome;
    outcome.error = std::move(error);
    outcome.logs = std::move(logs);
    Finish(std::move(outcome));
  }
};

}  // namespace penstock::executor
