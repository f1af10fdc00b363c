// Runs a program from its start to the signal that ends it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "libs/lifecycle/readiness.h"
#include "libs/lifecycle/signals.h"

namespace penstock::lifecycle {

// A program or a part of one. Start and Stop are called from the same thread, each once; Stop is
// also called after a failed Start.
class App {
 public:
  virtual ~App() = default;

  // Opens, migrates, builds, serves. Returns when everything answers, or the reason why not.
  virtual absl::Status Start() = 0;

  // Stops in reverse order of start: not ready, no new work, finish or hand back what runs, flush,
  // close. Returns within `deadline`; an error says what could not be finished.
  virtual absl::Status Stop(std::chrono::milliseconds deadline) = 0;
};

struct RunOptions {
  // Given to App::Stop.
  std::chrono::milliseconds stop_deadline{25'000};
  // That long beyond the deadline the process ends at once with exit code 1.
  std::chrono::milliseconds stop_grace{5'000};
  // Becomes not ready as soon as the stop begins; may be null. Must outlive the call.
  Readiness* readiness = nullptr;
  // Waited between becoming not ready and App::Stop, so that load balancers notice first.
  std::chrono::milliseconds stop_delay{0};
  // Called at each SIGHUP from the end of the start to the stop, never twice at a time; one that
  // comes during the start counts at its end. Must return soon. Empty: SIGHUP stops, as SIGTERM
  // does.
  std::function<void()> on_hangup;
  // Lets the application stop itself; may be null. Must outlive the call.
  StopRequest* stop_request = nullptr;
};

// Starts `app`, waits for SIGTERM or SIGINT (or a stop request), stops it. BlockSignals() must have
// been called first in main. Returns the exit code: 0 after a clean stop, 1 when the start or the
// stop failed, or a stop request asked for another. A second signal ends the process at once with
// 128 + its number, also while `app` is starting.
int RunUntilSignal(App& app, RunOptions options = {});

}  // namespace penstock::lifecycle
