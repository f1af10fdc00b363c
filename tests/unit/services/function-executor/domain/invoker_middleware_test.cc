// Calls through the invoker of functions that have middleware, as the registry gives it.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "services/function-executor/domain/invoker.h"
#include "tests/unit/services/function-executor/domain/middleware/chain_fixture.h"
#include "tests/unit/services/function-executor/fake_driver.h"
#include "tests/unit/services/function-executor/fake_execution_store.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;

struct SilentObserver final : CallObserver {
  void OnStart() override {}
  void OnEnd(TriggerKind, CallResult, Microseconds) override {}
  void OnMetrics(const FunctionSpec&, const std::vector<FunctionMetric>&) override {}
  void OnRefused(TriggerKind) override {}
  void OnQueued(int) override {}
};

class InvokerMiddlewareTest : public ::testing::Test {
 protected:
  using Result = std::shared_ptr<std::optional<InvokeResult>>;

  void SetUp() override { AddBuiltinMiddleware(&catalog_); }
  void TearDown() override {
    for (std::size_t i = 0; i < driver_.calls.size(); ++i) driver_.calls[i]->Succeed();
  }

  void Publish(std::int64_t version, std::vector<StepSpec> steps,
               std::vector<StepSpec> of_space = {}) {
    auto spec = std::make_shared<FunctionSpec>();
    spec->space = "default";
    spec->id = "f";
    spec->uid = "u";
    spec->version = version;
    spec->middleware = std::move(steps);
    if (has_schema_) spec->input_schema = *jsonschema::Schema::Parse(R"({"type":"object"})", "in");
    FunctionUpdate update{"default", "f", "u", version, spec};
    update.space_middleware = std::move(of_space);
    registry_.ApplySnapshot({update}, ++revision_);
  }

  Result Invoke(std::shared_ptr<Invoker::Call>* call = nullptr) {
    InvokeOrder order;
    order.space = "default";
    order.function = "f";
    order.payload = BytesOf(R"({"card":"4111"})");
    order.content_type = "application/json";
    order.caller = "ann";
    order.idempotency_key = "k";
    auto result = std::make_shared<std::optional<InvokeResult>>();
    auto started =
        invoker_.Invoke(std::move(order), [result](InvokeResult got) { *result = std::move(got); });
    if (call != nullptr) *call = std::move(started);
    return result;
  }

  FakeClock clock_;
  FakeTimers timers_;
  MiddlewareCatalog catalog_{timers_, clock_, [] { return 0.0; }};
  FunctionRegistry registry_{
      timers_, {}, {}, [this](const std::vector<StepSpec>& of_space, const FunctionSpec& function) {
        return catalog_.Build(of_space, function);
      }};
  FakeDriver driver_;
  FakeExecutionStore store_;
  ExecutionJournal journal_{store_, clock_, {}};
  ExecutionIds ids_{"0a1b2c3d", clock_};
  SilentObserver observer_;
  SchemaChecks schemas_{[](std::function<void()> work) {
    work();
    return true;
  }};
  bool has_schema_ = false;
  std::int64_t revision_ = 0;
  Invoker invoker_{{registry_,
                    {driver_, driver_, nullptr},
                    journal_,
                    ids_,
                    timers_,
                    observer_,
                    schemas_,
                    clock_},
                   {}};
};

TEST_F(InvokerMiddlewareTest, RunsSchemaSpaceAndFunctionInOrderAndRecordsThem) {
  has_schema_ = true;
  Publish(1, {{"retry", "{}"}}, {{"timeout", R"({"timeout":"1s"})"}});
  const MonotonicTime begin = clock_.Monotonic();
  const Result result = Invoke();
  ASSERT_EQ(driver_.calls.size(), 1U);
  EXPECT_EQ(driver_.calls[0]->invocation.deadline, begin + 1s);
  EXPECT_EQ(driver_.calls[0]->invocation.caller, "ann");
  const auto running = invoker_.FindRunning("default", driver_.calls[0]->invocation.execution_id);
  ASSERT_TRUE(running);
  EXPECT_THAT(
      TextOf(running->steps),
      ElementsAre("validate before passed", "space timeout before passed", "retry before passed"));
  driver_.calls[0]->Fail(ErrorCategory::kSystem, "ConnectFailed");
  EXPECT_FALSE(result->has_value());
  timers_.FireAll();
  ASSERT_EQ(driver_.calls.size(), 2U);
  driver_.calls[1]->Succeed("second");
  ASSERT_TRUE(result->has_value());
  EXPECT_EQ(*(*result)->outcome.payload, "second");
  ASSERT_EQ(store_.records.size(), 1U);
  EXPECT_THAT(
      TextOf(store_.records[0].steps),
      ElementsAre("validate before passed", "space timeout before passed", "retry before passed",
                  "retry after retried 1", "space timeout after passed"));
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerMiddlewareTest, CancelReachesACallThatWaitsToBeRetried) {
  Publish(1, {{"retry", "{}"}});
  std::shared_ptr<Invoker::Call> call;
  const Result result = Invoke(&call);
  driver_.calls[0]->Fail(ErrorCategory::kSystem, "ConnectFailed");
  EXPECT_FALSE(result->has_value());
  call->Cancel();
  ASSERT_TRUE(result->has_value());
  EXPECT_EQ((*result)->outcome.error->type, "Cancelled");
  timers_.FireAll();
  EXPECT_EQ(driver_.calls.size(), 1U);
}

TEST_F(InvokerMiddlewareTest, CancelReachesTheDriverOfALaterAttempt) {
  Publish(1, {{"retry", "{}"}});
  std::shared_ptr<Invoker::Call> call;
  const Result result = Invoke(&call);
  driver_.calls[0]->Fail(ErrorCategory::kSystem, "ConnectFailed");
  timers_.FireAll();
  ASSERT_EQ(driver_.calls.size(), 2U);
  call->Cancel();
  EXPECT_TRUE(driver_.calls[1]->cancelled);
  EXPECT_TRUE(result->has_value());
}

TEST_F(InvokerMiddlewareTest, NoRecordKeepsWhatLogTakesOut) {
  Publish(1, {{"rate_limit", R"({"rate":1})"}, {"log", R"({"redact":["/card"]})"}});
  const Result first = Invoke();
  const auto running = invoker_.FindRunning("default", driver_.calls[0]->invocation.execution_id);
  ASSERT_TRUE(running);
  EXPECT_EQ(running->input->bytes, R"({"card":"[redacted]"})");
  EXPECT_EQ(*driver_.calls[0]->invocation.payload, R"({"card":"4111"})");
  driver_.calls[0]->Succeed("not json: 4111");
  EXPECT_EQ(*(*first)->outcome.payload, "not json: 4111") << "the caller gets all of it";
  const Result refused = Invoke();
  ASSERT_TRUE(refused->has_value());
  EXPECT_EQ((*refused)->outcome.error->type, "RateLimited");
  ASSERT_EQ(store_.records.size(), 2U);
  for (const ExecutionRecord& record : store_.records) {
    EXPECT_EQ(record.input->bytes, R"({"card":"[redacted]"})");
    EXPECT_TRUE(!record.output || record.output->bytes.find("4111") == std::string::npos);
  }
}

TEST_F(InvokerMiddlewareTest, AFloodOfRefusalsLeavesFewRecords) {
  Publish(1, {{"rate_limit", R"({"rate":0.001})"}});
  Invoke();
  driver_.calls[0]->Succeed("x");
  for (int i = 0; i < 50; ++i) {
    const Result refused = Invoke();
    EXPECT_EQ((*refused)->outcome.refusal, absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(store_.records.size(), 11U);
  EXPECT_EQ(invoker_.running(), 0U);
}

TEST_F(InvokerMiddlewareTest, AChangeOfTheSpaceCountsFromTheNextCallAndKeepsState) {
  Publish(1, {{"idempotency", "{}"}});
  const Result first = Invoke();
  driver_.calls[0]->Succeed("first");
  Publish(1, {{"idempotency", "{}"}}, {{"timeout", R"({"timeout":"1s"})"}});
  const Result again = Invoke();
  ASSERT_TRUE(again->has_value());
  EXPECT_EQ(*(*again)->outcome.payload, "first");
  EXPECT_EQ(store_.records.size(), 2U);
  EXPECT_EQ(catalog_.states(), 1U);
  registry_.ApplySnapshot({}, ++revision_);
  EXPECT_EQ(catalog_.states(), 0U) << "state goes with the function";
}

TEST_F(InvokerMiddlewareTest, WithoutMiddlewareThereAreNoSteps) {
  Publish(1, {});
  const Result result = Invoke();
  EXPECT_TRUE(driver_.calls[0]->invocation.caller.empty());
  driver_.calls[0]->Succeed("x");
  ASSERT_EQ(store_.records.size(), 1U);
  EXPECT_TRUE(store_.records[0].steps.empty());
}

}  // namespace
}  // namespace penstock::executor
