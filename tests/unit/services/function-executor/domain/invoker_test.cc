#include "services/function-executor/domain/invoker.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "services/function-executor/domain/classify.h"
#include "tests/unit/services/function-executor/fake_driver.h"
#include "tests/unit/services/function-executor/fake_execution_store.h"
#include "tests/unit/services/function-executor/fake_timers.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;

struct CountingObserver final : CallObserver {
  void OnStart() override { ++in_flight; }
  void OnEnd(TriggerKind, CallResult result, Microseconds) override {
    --in_flight;
    results.push_back(result);
  }
  void OnMetrics(const FunctionSpec& function,
                 const std::vector<FunctionMetric>& emitted) override {
    for (const FunctionMetric& metric : emitted) metrics.push_back(function.id + "." + metric.name);
  }
  void OnRefused(TriggerKind) override { results.push_back(CallResult::kRefused); }
  void OnQueued(int by) override { queued += by; }

  int in_flight = 0;
  int queued = 0;
  std::vector<CallResult> results;
  std::vector<std::string> metrics;
};

class InvokerTest : public ::testing::Test {
 protected:
  struct Pending {
    std::shared_ptr<Invoker::Call> call;
    std::shared_ptr<std::optional<InvokeResult>> result =
        std::make_shared<std::optional<InvokeResult>>();
    bool ended() const { return result->has_value(); }
    const InvokeResult& operator*() const { return **result; }
    const InvokeResult* operator->() const { return &**result; }
  };

  void SetUp() override { Publish(0); }

  // A call that never ends is kept by its driver for ever. Ending one may start another.
  void TearDown() override {
    store_.hold_back = false;
    for (FakeDriver* driver : {&driver_, &http_}) {
      for (std::size_t i = 0; i < driver->calls.size(); ++i) driver->calls[i]->Succeed();
    }
  }

  void Publish(int concurrency_max, Target target = NoopTarget{}) {
    auto spec = std::make_shared<FunctionSpec>();
    spec->space = "default";
    spec->id = "f";
    spec->uid = "u";
    spec->version = 3;
    spec->timeout = 10s;
    spec->concurrency_max = concurrency_max;
    spec->target = std::move(target);
    registry_.ApplySnapshot({{"default", "f", "u", 3, spec}}, ++revision_);
  }

  static InvokeOrder Order() {
    InvokeOrder order;
    order.space = "default";
    order.function = "f";
    order.payload = std::make_shared<const std::string>("in");
    order.content_type = "text/plain";
    return order;
  }

  Pending Invoke(InvokeOrder order = Order()) {
    Pending pending;
    pending.call = invoker_.Invoke(std::move(order), [result = pending.result](InvokeResult got) {
      ASSERT_FALSE(result->has_value()) << "done ran twice";
      *result = std::move(got);
    });
    return pending;
  }

  // The function takes {"n": integer} and answers a text.
  void AddWithSchemas() {
    auto spec = std::make_shared<FunctionSpec>();
    spec->space = "default";
    spec->id = "f";
    spec->uid = "u";
    spec->version = 3;
    spec->input_schema = *jsonschema::Schema::Parse(
        R"({"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]})", "in");
    spec->output_schema = *jsonschema::Schema::Parse(R"({"type":"string"})", "out");
    spec->target = NoopTarget{};
    registry_.ApplySnapshot({{"default", "f", "u", 3, spec}}, ++revision_);
  }
  static InvokeOrder JsonOrder(const std::string& payload) {
    InvokeOrder order = Order();
    order.payload = std::make_shared<const std::string>(payload);
    order.content_type = "application/json";
    return order;
  }
  void RunApart() {
    while (!apart_.empty()) {
      const auto work = std::move(apart_.front());
      apart_.pop_front();
      work();
    }
  }

  FakeClock clock_;
  FakeTimers timers_;
  FunctionRegistry registry_{timers_};
  FakeDriver driver_;
  FakeDriver http_;
  FakeExecutionStore store_;
  ExecutionJournal journal_{store_, clock_, {}};
  ExecutionIds ids_{"0a1b2c3d", clock_};
  CountingObserver observer_;
  std::int64_t revision_ = 0;
  // Checks against schemas that wait for RunApart; none has room while `is_full_`.
  std::deque<std::function<void()>> apart_;
  bool is_full_ = false;
  SchemaChecks schemas_{[this](std::function<void()> work) {
    if (!is_full_) apart_.push_back(std::move(work));
    return !is_full_;
  }};
  Invoker invoker_{
      {registry_, {driver_, http_, nullptr}, journal_, ids_, timers_, observer_, schemas_, clock_},
      {.queue_max = 1}};
};

TEST_F(InvokerTest, RunsAFunctionAndKeepsItsRecord) {
  const Pending pending = Invoke();
  ASSERT_EQ(driver_.calls.size(), 1U);
  EXPECT_FALSE(pending.ended());
  EXPECT_EQ(invoker_.running(), 1U);
  EXPECT_EQ(observer_.in_flight, 1);
  const std::string id = driver_.calls[0]->invocation.execution_id;
  const auto running = invoker_.FindRunning("default", id);
  ASSERT_TRUE(running);
  EXPECT_EQ(running->state, ExecutionState::kRunning);
  EXPECT_EQ(running->input->bytes, "in");
  EXPECT_FALSE(invoker_.FindRunning("other", id)) << "of another space";

  clock_.Advance(2s);
  driver_.calls[0]->Succeed("out");
  ASSERT_TRUE(pending.ended());
  EXPECT_TRUE(pending->refusal.ok());
  EXPECT_EQ(pending->execution_id, id);
  EXPECT_EQ(pending->function_version, 3);
  EXPECT_EQ(pending->duration, Microseconds(2s));
  EXPECT_EQ(*pending->outcome.payload, "out");
  EXPECT_EQ(invoker_.running(), 0U);
  EXPECT_EQ(observer_.in_flight, 0);
  ASSERT_EQ(store_.records.size(), 1U);
  EXPECT_EQ(store_.records[0].id, id);
  EXPECT_EQ(store_.records[0].state, ExecutionState::kSucceeded);
  EXPECT_EQ(store_.records[0].duration, Microseconds(2s));
}

TEST_F(InvokerTest, TheRecordSaysHowLongEachStageTook) {
  Publish(1);
  const Pending first = Invoke();
  const Pending second = Invoke();
  clock_.Advance(3s);
  driver_.calls[0]->Succeed();
  ASSERT_EQ(driver_.calls.size(), 2U);
  clock_.Advance(2s);
  driver_.calls[1]->Succeed();
  ASSERT_EQ(store_.records.size(), 2U);
  EXPECT_EQ(store_.records[0].queue, Microseconds(0));
  EXPECT_EQ(store_.records[0].driver, Microseconds(3s));
  EXPECT_EQ(store_.records[1].queue, Microseconds(3s));
  EXPECT_EQ(store_.records[1].driver, Microseconds(2s));
  EXPECT_EQ(store_.records[1].middleware, Microseconds(0));
  EXPECT_EQ(store_.records[1].duration, Microseconds(2s));
}

TEST_F(InvokerTest, AnEventThatAsksForACallIsRecordedButNotGiven) {
  InvokeOrder order = Order();
  order.execution_id = "async-d-7.2";
  order.event_is_call = true;
  order.event = EventAttributes{"e", "/s", "penstock.invocation.requested", "1.0", {}};
  order.delivery_id = "d-7";
  order.attempt = 2;
  const Pending pending = Invoke(std::move(order));
  ASSERT_EQ(driver_.calls.size(), 1U);
  EXPECT_FALSE(driver_.calls[0]->invocation.event);
  EXPECT_EQ(driver_.calls[0]->invocation.execution_id, "async-d-7.2");
  driver_.calls[0]->Succeed();
  ASSERT_EQ(store_.records.size(), 1U);
  EXPECT_EQ(store_.records[0].id, "async-d-7.2");
  EXPECT_EQ(store_.records[0].event_id, "e");
  EXPECT_EQ(store_.records[0].attempt, 2);
}

TEST_F(InvokerTest, SomethingElseMayBeCalledInsteadOfTheFunction) {
  auto target = std::make_shared<FunctionSpec>();
  target->space = "default";
  target->id = "f";
  target->timeout = 5s;
  target->target = HttpTarget{"http://example.com/done", HttpFormat::kBinary, {}};
  InvokeOrder order = Order();
  order.instead = target;
  Invoke(std::move(order));
  EXPECT_TRUE(driver_.calls.empty()) << "the function itself is not called";
  ASSERT_EQ(http_.calls.size(), 1U);
  EXPECT_EQ(http_.calls[0]->invocation.function, target);
  EXPECT_EQ(http_.calls[0]->invocation.deadline, clock_.Monotonic() + 5s);
}

TEST_F(InvokerTest, TellsWhatTheFunctionMeasured) {
  Invoke();
  Outcome outcome;
  outcome.metrics = {{"orders", 2, {}}};
  outcome.error = FunctionError{};
  driver_.calls[0]->Finish(std::move(outcome));
  EXPECT_EQ(observer_.metrics, std::vector<std::string>{"f.orders"}) << "also with a failure";
}

TEST_F(InvokerTest, TheShortestLimitIsTheDeadline) {
  InvokeOrder order = Order();
  order.timeout = 4s;
  Invoke(std::move(order));
  order = Order();
  order.timeout = 60s;
  Invoke(std::move(order));
  EXPECT_EQ(driver_.calls[0]->invocation.deadline, clock_.Monotonic() + 4s);
  EXPECT_EQ(driver_.calls[0]->invocation.deadline_wall, clock_.Wall() + 4s);
  EXPECT_EQ(driver_.calls[1]->invocation.deadline, clock_.Monotonic() + 10s);
}

TEST_F(InvokerTest, ACallWhoseTimeHasPassedIsRefused) {
  InvokeOrder order = Order();
  order.timeout = Microseconds(-1);
  const Pending pending = Invoke(std::move(order));
  EXPECT_EQ(pending->refusal.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(driver_.calls.empty());
}

TEST_F(InvokerTest, AnUnknownFunctionIsNotFound) {
  InvokeOrder order = Order();
  order.function = "nothing";
  const Pending pending = Invoke(std::move(order));
  EXPECT_EQ(pending->refusal.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_.records.empty());
  EXPECT_EQ(observer_.results, std::vector<CallResult>{CallResult::kRefused});
}

TEST_F(InvokerTest, WaitsForTheRevisionThatItNeeds) {
  InvokeOrder order = Order();
  order.min_revision = 2;
  const Pending pending = Invoke(std::move(order));
  EXPECT_TRUE(driver_.calls.empty());
  EXPECT_EQ(timers_.delays(), std::vector<Microseconds>{2s});
  Publish(0);
  EXPECT_EQ(driver_.calls.size(), 1U);

  order = Order();
  order.min_revision = 99;
  const Pending behind = Invoke(std::move(order));
  timers_.FireAll();
  EXPECT_EQ(behind->refusal.code(), absl::StatusCode::kUnavailable);
}

TEST_F(InvokerTest, QueuesUpToTheLimitThenRefuses) {
  Publish(1);
  const Pending first = Invoke();
  const Pending second = Invoke();
  const Pending third = Invoke();
  EXPECT_EQ(driver_.calls.size(), 1U);
  EXPECT_EQ(observer_.queued, 1);
  ASSERT_TRUE(third.ended());
  EXPECT_EQ(third->refusal.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(RetryAfterOf(third->refusal), absl::ZeroDuration());
  driver_.calls[0]->Succeed();
  EXPECT_TRUE(first.ended());
  ASSERT_EQ(driver_.calls.size(), 2U);
  EXPECT_EQ(observer_.queued, 0);
  driver_.calls[1]->Succeed();
  EXPECT_TRUE(second->refusal.ok());
}

TEST_F(InvokerTest, WaitingInTheQueueEndsWithTheDeadline) {
  Publish(1);
  const Pending first = Invoke();
  const Pending second = Invoke();
  timers_.FireAll();
  ASSERT_TRUE(second.ended());
  EXPECT_EQ(second->refusal.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(first.ended());
  EXPECT_EQ(observer_.queued, 0);
  driver_.calls[0]->Succeed();
  EXPECT_EQ(driver_.calls.size(), 1U);
}

TEST_F(InvokerTest, CancelEndsACallWhereverItIs) {
  Publish(1);
  const Pending running = Invoke();
  const Pending queued = Invoke();
  queued.call->Cancel();
  ASSERT_TRUE(queued.ended());
  EXPECT_EQ(queued->refusal.code(), absl::StatusCode::kCancelled);
  queued.call->Cancel();

  InvokeOrder order = Order();
  order.min_revision = 99;
  const Pending waiting = Invoke(std::move(order));
  waiting.call->Cancel();
  EXPECT_EQ(waiting->refusal.code(), absl::StatusCode::kCancelled);

  EXPECT_FALSE(invoker_.CancelRunning("default", "0a1b2c3d-0"));
  EXPECT_FALSE(invoker_.CancelRunning("other", driver_.calls[0]->invocation.execution_id));
  EXPECT_TRUE(invoker_.CancelRunning("default", driver_.calls[0]->invocation.execution_id));
  ASSERT_TRUE(running.ended());
  EXPECT_EQ(running->outcome.error->type, "Cancelled");
  EXPECT_EQ(store_.records.at(0).error->type, "Cancelled");
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerTest, ABusyDriverLeavesNoRecord) {
  const Pending pending = Invoke();
  driver_.calls[0]->Fail(ErrorCategory::kSystem, "Busy");
  ASSERT_TRUE(pending.ended());
  EXPECT_EQ(pending->outcome.error->type, "Busy");
  EXPECT_TRUE(pending->execution_id.empty());
  EXPECT_TRUE(store_.records.empty());
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerTest, TheTargetPicksTheDriver) {
  Publish(0, HttpTarget{});
  Invoke();
  EXPECT_EQ(http_.calls.size(), 1U);
  Publish(0, ProcessTarget{});
  const Pending process = Invoke();
  ASSERT_TRUE(process.ended());
  EXPECT_EQ(process->outcome.error->category, ErrorCategory::kSystem);
  EXPECT_NE(process->outcome.error->message.find("process.enabled"), std::string::npos);
}

TEST_F(InvokerTest, AFullStoreHoldsTheCallerBack) {
  store_.hold_back = true;
  driver_.answers_at_once = true;
  const Pending pending = Invoke();
  EXPECT_FALSE(pending.ended());
  EXPECT_EQ(invoker_.running(), 1U) << "readable until the store has it";
  store_.held.at(0)();
  EXPECT_TRUE(pending.ended());
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerTest, WhatDoesNotMeetTheInputSchemaNeverRuns) {
  AddWithSchemas();
  struct Bad {
    const char* payload;
    const char* content_type;
    const char* message;
  };
  const Bad kBad[] = {
      {R"({"n":"x"})", "application/json", "the input: /n: expected an integer"},
      {"", "", "the input: expected an object"},
      {"{", "application/json", "the input: expected JSON"},
      {R"({"n":1})", "text/plain", "the input: expected JSON, got text/plain"},
  };
  for (const Bad& bad : kBad) {
    InvokeOrder order = JsonOrder(bad.payload);
    order.content_type = bad.content_type;
    const Pending pending = Invoke(std::move(order));
    EXPECT_FALSE(pending.ended());
    RunApart();
    ASSERT_TRUE(pending.ended()) << bad.payload;
    ASSERT_TRUE(pending->outcome.error);
    EXPECT_EQ(pending->outcome.error->category, ErrorCategory::kInput);
    EXPECT_EQ(pending->outcome.error->type, "SchemaViolation");
    EXPECT_THAT(pending->outcome.error->message, testing::StartsWith(bad.message));
    EXPECT_EQ(store_.records.back().state, ExecutionState::kFailed);
  }
  EXPECT_TRUE(driver_.calls.empty());
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerTest, AnAnswerThatDoesNotMeetTheOutputSchemaIsAnError) {
  AddWithSchemas();
  for (const bool good : {true, false}) {
    const Pending pending = Invoke(JsonOrder(R"({"n":1})"));
    RunApart();
    ASSERT_FALSE(driver_.calls.empty());
    driver_.calls.back()->Succeed(good ? R"("text")" : "7");
    EXPECT_FALSE(pending.ended());
    RunApart();
    ASSERT_TRUE(pending.ended());
    EXPECT_EQ(pending->outcome.error.has_value(), !good);
    if (good) continue;
    EXPECT_EQ(pending->outcome.error->category, ErrorCategory::kFunction);
    EXPECT_EQ(pending->outcome.error->message, "the answer: expected a text");
  }
}

TEST_F(InvokerTest, EachEventOfABatchMeetsTheInputSchema) {
  AddWithSchemas();
  auto batch = std::make_shared<Batch>(2);
  (*batch)[0].payload = std::make_shared<const std::string>(R"({"n":1})");
  (*batch)[1].payload = std::make_shared<const std::string>(R"({})");
  (*batch)[1].event.id = "e2";
  InvokeOrder order = JsonOrder("[]");
  order.batch = batch;
  const Pending pending = Invoke(std::move(order));
  RunApart();
  ASSERT_TRUE(pending.ended());
  ASSERT_TRUE(pending->outcome.error);
  EXPECT_EQ(pending->outcome.error->message, "the event e2: \"n\" is missing");
}

TEST_F(InvokerTest, WithoutRoomForAnInputCheckTheCallWasNotStarted) {
  AddWithSchemas();
  is_full_ = true;
  const Pending refused = Invoke(JsonOrder(R"({"n":1})"));
  ASSERT_TRUE(refused.ended());
  EXPECT_TRUE(IsBusy(refused->outcome));
  is_full_ = false;
  const Pending pending = Invoke(JsonOrder(R"({"n":1})"));
  RunApart();
  is_full_ = true;
  driver_.calls.back()->Succeed("7");
  ASSERT_TRUE(pending.ended());
  ASSERT_TRUE(pending->outcome.error);
  EXPECT_FALSE(IsBusy(pending->outcome)) << "it has run";
}

TEST_F(InvokerTest, ACallThatIsCancelledWhileItIsCheckedDoesNotRun) {
  AddWithSchemas();
  const Pending pending = Invoke(JsonOrder(R"({"n":1})"));
  pending.call->Cancel();
  RunApart();
  ASSERT_TRUE(pending.ended());
  ASSERT_TRUE(pending->outcome.error);
  EXPECT_EQ(pending->outcome.error->type, "Cancelled");
  EXPECT_TRUE(driver_.calls.empty());
}

TEST_F(InvokerTest, RefusesNewCallsOnceItStops) {
  const Pending before = Invoke();
  invoker_.StopAccepting();
  const Pending after = Invoke();
  EXPECT_EQ(after->refusal.code(), absl::StatusCode::kUnavailable);
  driver_.calls[0]->Succeed();
  EXPECT_TRUE(before->refusal.ok());
}

TEST_F(InvokerTest, RecordsWhatADeliveryWas) {
  InvokeOrder order = Order();
  order.trigger = TriggerKind::kEvent;
  order.event = EventAttributes{"e1", "/shop", "user.created", "1.0", {}};
  order.subscription = "s1";
  order.delivery_id = "d1";
  order.attempt = 2;
  order.traceparent = "00-0-0-01";
  Invoke(std::move(order));
  EXPECT_EQ(driver_.calls[0]->invocation.attempt, 2);
  EXPECT_EQ(driver_.calls[0]->invocation.delivery_id, "d1");
  ExecutionQuery query;
  query.space = "default";
  query.delivery_id = "d1";
  EXPECT_EQ(invoker_.ListRunning(query).size(), 1U);
  query.delivery_id = "d2";
  EXPECT_TRUE(invoker_.ListRunning(query).empty());
  driver_.calls[0]->Fail(ErrorCategory::kFunction, "ValueError");
  const ExecutionRecord& record = store_.records.at(0);
  EXPECT_EQ(record.event_id, "e1");
  EXPECT_EQ(record.event_type, "user.created");
  EXPECT_EQ(record.event_source, "/shop");
  EXPECT_EQ(record.subscription, "s1");
  EXPECT_EQ(record.attempt, 2);
  EXPECT_EQ(record.state, ExecutionState::kFailed);
  EXPECT_EQ(record.instance, "0a1b2c3d");
}

}  // namespace
}  // namespace penstock::executor
