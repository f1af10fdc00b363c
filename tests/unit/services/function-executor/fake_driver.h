// A driver whose calls end when a test says so.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "services/function-executor/ports/driver.h"

namespace penstock::executor {

class FakeDriver final : public Driver {
 public:
  struct FakeCall final : Call {
    Invocation invocation;
    Done done;
    bool cancelled = false;

    void Cancel() override {
      cancelled = true;
      Outcome outcome;
      outcome.error = FunctionError{ErrorCategory::kSystem, "Cancelled", "given up", {}};
      Finish(std::move(outcome));
    }
    void Finish(Outcome outcome) {
      if (!outcome.payload) outcome.payload = std::make_shared<const std::string>();
      if (const Done call = std::exchange(done, nullptr)) call(std::move(outcome));
    }
    void Succeed(const std::string& payload = "") {
      Outcome outcome;
      outcome.payload = std::make_shared<const std::string>(payload);
      Finish(std::move(outcome));
    }
    void Fail(ErrorCategory category, const std::string& type) {
      Outcome outcome;
      outcome.error = FunctionError{category, type, "as the test says", {}};
      Finish(std::move(outcome));
    }
  };

  std::shared_ptr<Call> Start(Invocation invocation, Done done) override {
    auto call = std::make_shared<FakeCall>();
    call->invocation = std::move(invocation);
    call->done = std::move(done);
    calls.push_back(call);
    if (answers_at_once) call->Succeed();
    return call;
  }
  void Forget(const std::string& uid, std::int64_t version) override {
    forgotten.emplace_back(uid, version);
  }
  void Stop() override {}

  bool answers_at_once = false;
  std::vector<std::shared_ptr<FakeCall>> calls;
  std::vector<std::pair<std::string, std::int64_t>> forgotten;
};

}  // namespace penstock::executor
