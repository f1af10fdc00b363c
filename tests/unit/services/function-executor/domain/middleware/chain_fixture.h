// Calls through a chain of steps, with a function that answers when the test says so.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/domain/middleware/chain.h"
#include "tests/unit/services/function-executor/fake_timers.h"

namespace penstock::executor {

// The steps of `records` as "name before effect", for comparing.
inline std::vector<std::string> TextOf(const std::vector<StepRecord>& records) {
  std::vector<std::string> texts;
  for (const StepRecord& record : records) {
    texts.push_back((record.is_of_space ? "space " : "") + record.name +
                    (record.phase == StepPhase::kBefore ? " before " : " after ") + record.effect);
  }
  return texts;
}

inline Bytes BytesOf(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

inline Outcome Succeeded(std::string payload, std::string type = "application/json") {
  Outcome outcome;
  outcome.payload = BytesOf(std::move(payload));
  outcome.content_type = std::move(type);
  return outcome;
}

class ChainFixture : public ::testing::Test {
 protected:
  // What the function was called with, and how to answer it.
  struct Reached {
    Invocation invocation;
    std::function<void(Outcome)> answer;
  };
  // A call on its way.
  struct Sent {
    std::shared_ptr<ChainRun> run;
    std::shared_ptr<std::optional<Outcome>> outcome = std::make_shared<std::optional<Outcome>>();
    bool ended() const { return outcome->has_value(); }
    const Outcome& operator*() const { return **outcome; }
    const Outcome* operator->() const { return &**outcome; }
    std::vector<std::string> steps() const { return TextOf(run->Records()); }
    std::string error() const { return (*outcome)->error ? (*outcome)->error->type : ""; }
  };

  void SetUp() override { AddBuiltinMiddleware(&catalog_); }

  // A call that never ends holds its chain for ever.
  void TearDown() override {
    do {
      const auto left = std::exchange(reached_, {});
      for (const Reached& one : left) one.answer(Succeeded(""));
      timers_.FireAll();
    } while (!reached_.empty());
  }

  std::shared_ptr<const Chain> Make(std::vector<StepSpec> steps, std::int64_t version = 1,
                                    std::vector<StepSpec> of_space = {}) {
    FunctionSpec function;
    function.space = "default";
    function.id = "f";
    function.uid = "u";
    function.version = version;
    function.middleware = std::move(steps);
    return catalog_.Build(of_space, function);
  }

  Invocation Call(std::string payload = "{}") const {
    Invocation call;
    call.payload = BytesOf(std::move(payload));
    call.content_type = "application/json";
    call.deadline = clock_.Monotonic() + Microseconds(60'000'000);
    call.deadline_wall = clock_.Wall() + Microseconds(60'000'000);
    return call;
  }
  static Invocation AsDelivery(Invocation call) {
    call.trigger = TriggerKind::kEvent;
    call.delivery_id = "d1";
    return call;
  }

  Sent Send(const std::shared_ptr<const Chain>& chain, Invocation call) {
    Sent sent;
    sent.run = std::make_shared<ChainRun>(
        chain, std::move(call), clock_,
        [this](Invocation invocation, std::function<void(Outcome)> answer) {
          reached_.push_back({std::move(invocation), std::move(answer)});
        },
        [outcome = sent.outcome](Outcome got) {
          ASSERT_FALSE(outcome->has_value()) << "a call ended twice";
          *outcome = std::move(got);
        });
    sent.run->Start();
    return sent;
  }
  Sent Send(const std::shared_ptr<const Chain>& chain) { return Send(chain, Call()); }

  // Answers the call that has reached the function first.
  void Answer(Outcome outcome) {
    ASSERT_FALSE(reached_.empty()) << "no call has reached the function";
    const Reached first = std::move(reached_.front());
    reached_.erase(reached_.begin());
    first.answer(std::move(outcome));
  }
  void AnswerError(ErrorCategory category, int http_status = 0) {
    Outcome outcome = FailedOutcome({category, "Test", "as the test says", {}});
    outcome.http_status = http_status;
    Answer(std::move(outcome));
  }

  FakeClock clock_;
  FakeTimers timers_;
  double random_ = 1;
  MiddlewareCatalog catalog_{timers_, clock_, [this] { return random_; }};
  std::vector<Reached> reached_;
};

}  // namespace penstock::executor
