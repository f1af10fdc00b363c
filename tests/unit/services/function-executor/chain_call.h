// One call through a chain whose steps work on threads of their own.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/domain/middleware/chain.h"
#include "tests/unit/services/function-executor/fake_timers.h"

namespace penstock::executor {

class ChainCall {
 public:
  using Function = std::function<Outcome(const Invocation&)>;

  struct Ended {
    Outcome outcome;
    std::vector<std::string> steps;  // "before changed", "after passed", …
    bool reached = false;            // The function.
    std::string error() const { return outcome.error ? outcome.error->type : ""; }
    std::string message() const { return outcome.error ? outcome.error->message : ""; }
  };

  ChainCall() {
    auto function = std::make_shared<FunctionSpec>();
    function->space = "default";
    function->id = "f";
    function->uid = "u";
    function->version = 3;
    spec_ = function;
    call.function = function;
    call.execution_id = "e1";
    call.content_type = "application/json";
    call.payload = std::make_shared<const std::string>("{}");
    call.deadline = SystemClock().Monotonic() + Microseconds(60'000'000);
  }

  static Outcome Answer(std::string payload, std::string type = "application/json") {
    Outcome outcome;
    outcome.payload = std::make_shared<const std::string>(std::move(payload));
    outcome.content_type = std::move(type);
    return outcome;
  }

  void SetPayload(std::string payload) {
    call.payload = std::make_shared<const std::string>(std::move(payload));
  }

  // Runs one step of `catalog`; the function answers as `function` says. `started` may cancel.
  Ended Run(
      MiddlewareCatalog& catalog, const std::string& kind, const std::string& settings,
      Function function = [](const Invocation& given) { return Answer(*given.payload); },
      const std::function<void(ChainRun&)>& started = {}) {
    FunctionSpec spec = *spec_;
    spec.middleware = {{kind, settings}};
    auto reached = std::make_shared<std::atomic<bool>>(false);
    auto ended = std::make_shared<std::promise<Outcome>>();
    auto run = std::make_shared<ChainRun>(
        catalog.Build({}, spec), call, SystemClock(),
        [reached, function = std::move(function)](const Invocation& given,
                                                  const std::function<void(Outcome)>& answer) {
          *reached = true;
          answer(function(given));
        },
        [ended](Outcome outcome) { ended->set_value(std::move(outcome)); });
    run->Start();
    if (started) started(*run);
    Ended result;
    result.outcome = ended->get_future().get();
    result.reached = *reached;
    for (const StepRecord& step : run->Records()) {
      result.steps.push_back((step.phase == StepPhase::kBefore ? "before " : "after ") +
                             step.effect);
    }
    return result;
  }

  Invocation call;

 private:
  std::shared_ptr<const FunctionSpec> spec_;
};

}  // namespace penstock::executor
