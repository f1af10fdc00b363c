#include "services/function-executor/middleware/transform/transform_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/services/function-executor/chain_call.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TransformStepTest : public ::testing::Test {
 protected:
  static JqPoolOptions Options() {
    JqPoolOptions options;
    options.worker_path = PENSTOCK_JQ;
    options.run_time_max = Microseconds(20'000'000);
    return options;
  }
  TransformStepTest() { AddTransformMiddleware(pool_, &catalog_); }

  ChainCall::Ended Run(const std::string& settings) {
    return call_.Run(catalog_, "transform", settings);
  }

  JqPool pool_{Options(), SystemClock()};
  FakeTimers timers_;
  MiddlewareCatalog catalog_{timers_, SystemClock(), [] { return 0.5; }};
  ChainCall call_;
};

TEST_F(TransformStepTest, ChangesWhatIsGivenAndAnswered) {
  call_.SetPayload(R"({"order":{"id":7}})");
  const auto ended =
      call_.Run(catalog_, "transform", R"({"before":".order","after":"{result: .}"})",
                [](const Invocation& given) {
                  EXPECT_EQ(*given.payload, R"({"id":7})");
                  return ChainCall::Answer(R"({"ok":true})");
                });
  EXPECT_EQ(*ended.outcome.payload, R"({"result":{"ok":true}})");
  EXPECT_EQ(ended.outcome.content_type, "application/json");
  EXPECT_THAT(ended.steps, ElementsAre("before changed", "after changed"));
}

TEST_F(TransformStepTest, ChangesOneWayOnly) {
  EXPECT_THAT(Run(R"({"before":"1"})").steps, ElementsAre("before changed"));
  EXPECT_THAT(Run(R"({"after":"1"})").steps, ElementsAre("before passed", "after changed"));
}

TEST_F(TransformStepTest, TellsTheCallerWhatAProgramSaysOfThePayload) {
  const auto ended = Run(R"({"before":"if .id then . else error(\"id is missing\") end"})");
  EXPECT_FALSE(ended.reached);
  EXPECT_EQ(ended.outcome.error->category, ErrorCategory::kInput);
  EXPECT_EQ(ended.error(), "TransformFailed");
  EXPECT_EQ(ended.message(), "transform.before: id is missing");
  EXPECT_THAT(ended.steps, ElementsAre("before refused"));
}

TEST_F(TransformStepTest, BlamesTheFunctionForItsAnswer) {
  const auto ended = call_.Run(catalog_, "transform", R"({"after":".a.b"})", [](const Invocation&) {
    Outcome outcome = ChainCall::Answer("[1]");
    outcome.http_status = 200;
    outcome.logs.out = {"line"};
    return outcome;
  });
  EXPECT_EQ(ended.outcome.error->category, ErrorCategory::kFunction);
  EXPECT_EQ(ended.error(), "TransformFailed");
  // By it a delivery would count as a success.
  EXPECT_EQ(ended.outcome.http_status, 0);
  EXPECT_THAT(ended.outcome.logs.out, ElementsAre("line"));
}

TEST_F(TransformStepTest, WantsJson) {
  call_.call.content_type = "text/plain";
  const auto text = Run(R"({"before":"."})");
  EXPECT_EQ(text.error(), "InvalidPayload");
  EXPECT_THAT(text.message(), HasSubstr("text/plain"));
  call_.call.content_type = "application/json";
  call_.SetPayload("{");
  EXPECT_EQ(Run(R"({"before":"."})").error(), "InvalidPayload");
  call_.SetPayload("{}");
  const auto answer = call_.Run(catalog_, "transform", R"({"after":"."})", [](const Invocation&) {
    return ChainCall::Answer("hello", "text/plain");
  });
  EXPECT_EQ(answer.error(), "InvalidAnswer");
}

TEST_F(TransformStepTest, ReadsNothingAsNull) {
  call_.SetPayload("");
  call_.call.content_type = "";
  const auto ended = Run(R"({"before":"{was: .}"})");
  EXPECT_EQ(*ended.outcome.payload, R"({"was":null})");
}

TEST_F(TransformStepTest, KeepsWhatElseATypeSays) {
  const auto ended = call_.Run(catalog_, "transform", R"({"after":"."})", [](const Invocation&) {
    return ChainCall::Answer("{}", "application/cloudevents+json");
  });
  EXPECT_EQ(ended.outcome.content_type, "application/cloudevents+json");
}

TEST_F(TransformStepTest, LetsErrorsOfTheFunctionPass) {
  const auto ended = call_.Run(catalog_, "transform", R"({"after":"1"})", [](const Invocation&) {
    return FailedOutcome({ErrorCategory::kFunction, "ValueError", "no", {}});
  });
  EXPECT_EQ(ended.error(), "ValueError");
  EXPECT_THAT(ended.steps, ElementsAre("before passed", "after passed"));
}

TEST_F(TransformStepTest, ChangesTheDataOfEachEventOfABatch) {
  auto batch = std::make_shared<Batch>(3);
  for (auto& event : *batch) event.content_type = "application/json";
  call_.call.batch = batch;
  call_.call.trigger = TriggerKind::kEvent;
  call_.SetPayload(R"([{"id":"1","data":{"n":1}},{"id":"2","data_base64":"AAEC"},{"id":"3"}])");
  const auto ended = call_.Run(
      catalog_, "transform", R"({"before":"{n: .n} # a comment"})", [](const Invocation& given) {
        EXPECT_EQ(*given.payload, R"([{"id":"1","data":{"n":1}},{"id":"2","data_base64":"AAEC"},)"
                                  R"({"id":"3","data":{"n":null}}])");
        EXPECT_EQ(*(*given.batch)[0].payload, R"({"n":1})");
        return ChainCall::Answer("{}");
      });
  EXPECT_TRUE(ended.reached) << ended.message();
  const auto failed = Run(R"({"before":".n, 2"})");
  EXPECT_THAT(failed.message(), HasSubstr("gave 2 values: expected exactly one"));
}

TEST_F(TransformStepTest, EndsWithTheCall) {
  call_.call.deadline = SystemClock().Monotonic() + Microseconds(100'000);
  const auto late = Run(R"({"before":"def f: f; f"})");
  EXPECT_TRUE(late.outcome.timed_out);
  EXPECT_FALSE(late.reached);
  call_.call.deadline = SystemClock().Monotonic() + Microseconds(60'000'000);
  const auto cancelled = call_.Run(
      catalog_, "transform", R"({"before":"def f: f; f"})",
      [](const Invocation&) { return ChainCall::Answer("{}"); },
      [](ChainRun& run) { run.Cancel(); });
  EXPECT_EQ(cancelled.error(), "Cancelled");
}

}  // namespace
}  // namespace penstock::executor
