// Sending, results, batches, credit and draining.
#include <algorithm>
#include <map>
#include <set>

#include "tests/unit/services/event-broker/invoker/invoker_fixture.h"

namespace penstock::broker {
namespace {

using StreamInvokerTest = InvokerTest;

TEST_F(StreamInvokerTest, NamesItsBrokerBeforeItHasCredit) {
  FakeExecutor executor("invoker-test");
  SetAddresses({executor.address()});
  Start();
  ASSERT_TRUE(executor.WaitForStreams(1));
  EXPECT_EQ(executor.brokers(), std::vector<std::string>{"broker-1"});
}

TEST_F(StreamInvokerTest, RejectsWhileAnExecutorGivesNoCredit) {
  FakeExecutor executor("invoker-test");
  SetAddresses({executor.address()});
  Start();
  ASSERT_TRUE(executor.WaitForStreams(1));
  Send(BatchOrder(1, 3));
  const auto results = WaitForResults(3);
  for (const DeliveryResult& result : results) {
    EXPECT_EQ(result.outcome, DeliveryOutcome::kRejected);
    EXPECT_EQ(result.error.type, "NoExecutor");
  }
  EXPECT_EQ(results[2].key.sequence, 3U);
  EXPECT_TRUE(executor.WaitForInvocations(0).empty());
}

TEST_F(StreamInvokerTest, SendsAllThatAnOrderSays) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  InvocationOrder order = BatchOrder(7, 2);
  order.key.uid = "0c-9.replay-1";
  order.attempt = 2;
  order.replay = true;
  order.ordered = true;
  order.batched = true;
  order.function_revision_min = 44;
  order.traceparent = "00-1-2-01";
  order.timeout = std::chrono::milliseconds(1500);
  Send(std::move(order));
  const pb::Invocation sent = executor.WaitForInvocations(1)[0];
  EXPECT_EQ(sent.delivery_id(), "0c-9.replay-1-7");
  EXPECT_EQ(sent.attempt(), 2);
  EXPECT_EQ(sent.epoch(), 3);
  EXPECT_EQ(sent.sequence(), 7);
  EXPECT_EQ(sent.event(), "event 7");
  EXPECT_EQ(sent.min_function_revision(), 44);
  EXPECT_EQ(sent.traceparent(), "00-1-2-01");
  EXPECT_EQ(sent.timeout().seconds(), 1);
  EXPECT_EQ(sent.timeout().nanos(), 500'000'000);
  EXPECT_TRUE(sent.replay());
  EXPECT_TRUE(sent.ordered());
  EXPECT_TRUE(sent.batched());
  ASSERT_EQ(sent.batch_size(), 1);
  EXPECT_EQ(sent.batch(0).delivery_id(), "lane-8");
  EXPECT_EQ(sent.batch(0).event(), "further");
  EXPECT_EQ(sent.batch(0).sequence(), 8);
  executor.Answer(sent, Outcome::SUCCEEDED);
  EXPECT_EQ(WaitForResults(2)[0].key.uid, "0c-9.replay-1");
}

TEST_F(StreamInvokerTest, HandsOnAllThatAResultSays) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1));
  auto result = FakeExecutor::ResultOf(executor.WaitForInvocations(1)[0], Outcome::RETRYABLE);
  result.mutable_error()->set_category("FunctionError");
  result.mutable_error()->set_type("HttpStatus");
  result.mutable_error()->set_message("503");
  result.mutable_retry_after()->set_seconds(2);
  result.mutable_duration()->set_nanos(5'000'000);
  result.set_execution("spaces/default/executions/e1");
  result.set_http_status(503);
  result.set_timed_out(true);
  executor.Answer(result);
  const DeliveryResult got = WaitForResults(1)[0];
  EXPECT_EQ(got.outcome, DeliveryOutcome::kRetryable);
  EXPECT_EQ(got.error.category, "FunctionError");
  EXPECT_EQ(got.error.type, "HttpStatus");
  EXPECT_EQ(got.error.message, "503");
  EXPECT_EQ(got.retry_after, Microseconds(2'000'000));
  EXPECT_EQ(got.duration, Microseconds(5'000));
  EXPECT_EQ(got.execution, "spaces/default/executions/e1");
  EXPECT_EQ(got.http_status, 503);
  EXPECT_TRUE(got.timed_out);
}

TEST_F(StreamInvokerTest, AReplyComesWithItsResult) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1));
  auto result = FakeExecutor::ResultOf(executor.WaitForInvocations(1)[0], Outcome::SUCCEEDED);
  result.set_reply("an event");
  executor.Answer(result);
  EXPECT_EQ(WaitForResults(1)[0].reply, "an event");
}

TEST_F(StreamInvokerTest, EachOfManyOrdersGetsOneResult) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 2000);
  std::vector<InvocationOrder> orders;
  for (Sequence i = 1; i <= 2500; ++i) orders.push_back(Order(i));
  invoker_->Send(std::move(orders));
  for (const pb::Invocation& sent : executor.WaitForInvocations(2000)) {
    executor.Answer(sent, Outcome::SUCCEEDED);
  }
  std::set<Sequence> seen;
  std::size_t rejected = 0;
  for (const DeliveryResult& result : WaitForResults(2500)) {
    EXPECT_TRUE(seen.insert(result.key.sequence).second) << "twice: " << result.key.sequence;
    if (result.outcome == DeliveryOutcome::kRejected) ++rejected;
  }
  EXPECT_EQ(seen.size(), 2500U);
  EXPECT_EQ(rejected, 500U) << "what is beyond the credit";
  // The oldest leave first.
  EXPECT_EQ(executor.WaitForInvocations(2000)[0].sequence(), 1);
  EXPECT_EQ(executor.WaitForInvocations(2000)[1999].sequence(), 2000);
}

TEST_F(StreamInvokerTest, ABatchThatSucceededFailsWhereTheFunctionSaysSo) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(BatchOrder(1, 4));
  auto answer = FakeExecutor::ResultOf(executor.WaitForInvocations(1)[0], Outcome::SUCCEEDED);
  answer.add_failed_delivery_ids("lane-1");
  answer.add_failed_delivery_ids("lane-3");
  answer.set_execution("spaces/default/executions/e1");
  answer.set_reply("an event");
  executor.Answer(answer);
  const auto results = WaitForResults(4);
  ASSERT_EQ(results.size(), 4U);
  for (const DeliveryResult& result : results) {
    const bool failed = result.key.sequence == 1 || result.key.sequence == 3;
    EXPECT_EQ(result.outcome, failed ? DeliveryOutcome::kRetryable : DeliveryOutcome::kSucceeded);
    EXPECT_EQ(result.error.type, failed ? "BatchItemFailed" : "");
    EXPECT_EQ(result.error.category, failed ? "FunctionError" : "");
    EXPECT_EQ(result.execution, "spaces/default/executions/e1");
    EXPECT_EQ(result.reply, result.key.sequence == 2 ? "an event" : "") << result.key.sequence;
  }
}

TEST_F(StreamInvokerTest, WhatABatchAsAWholeCameToIsTheResultOfEach) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  const std::map<Outcome::Outcome, DeliveryOutcome> cases = {
      {Outcome::SUCCEEDED, DeliveryOutcome::kSucceeded},
      {Outcome::RETRYABLE, DeliveryOutcome::kRetryable},
      {Outcome::PERMANENT, DeliveryOutcome::kPermanent},
      {Outcome::REJECTED, DeliveryOutcome::kRejected}};
  std::size_t call = 0;
  for (const auto& [outcome, expected] : cases) {
    Send(BatchOrder(1 + call * 3, 3));
    executor.Answer(executor.WaitForInvocations(++call).back(), outcome);
    const auto results = WaitForResults(call * 3);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(results[results.size() - 1 - i].outcome, expected);
    }
  }
}

TEST_F(StreamInvokerTest, ResultsThatNoAttemptHasAreCountedAndDropped) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1));
  const pb::Invocation sent = executor.WaitForInvocations(1)[0];
  const auto changed = [&](const std::function<void(Outcome&)>& change) {
    Outcome result = FakeExecutor::ResultOf(sent, Outcome::PERMANENT);
    change(result);
    return result;
  };
  executor.Answer(changed([](Outcome& result) { result.set_epoch(2); }));
  executor.Answer(changed([](Outcome& result) { result.set_attempt(2); }));
  executor.Answer(changed([](Outcome& result) { result.set_delivery_id("lane-2"); }));
  executor.Answer(changed([](Outcome& result) { result.set_delivery_id("lane-1x"); }));
  executor.Answer(changed([](Outcome& result) { result.set_delivery_id("none"); }));
  executor.Answer(sent, Outcome::SUCCEEDED);
  executor.Answer(sent, Outcome::PERMANENT);
  PassThrough(executor, 9);
  const auto results = WaitForResults(2);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kSucceeded);
  EXPECT_EQ(invoker_->unknown_results(), 6U);
}

TEST_F(StreamInvokerTest, ACancelNamesTheAttemptAsItWasSent) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(5));
  const pb::Invocation sent = executor.WaitForInvocations(1)[0];
  invoker_->Cancel({"lane", 5}, 2);  // Not this attempt.
  invoker_->Cancel({"lane", 5}, 1);
  const auto cancels = executor.WaitForCancels(1);
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].delivery_id(), "lane-5");
  EXPECT_EQ(cancels[0].attempt(), 1);
  EXPECT_EQ(cancels[0].epoch(), 3);
  EXPECT_EQ(results(), 0U);
  executor.Answer(sent, Outcome::RETRYABLE);
  EXPECT_EQ(WaitForResults(1)[0].outcome, DeliveryOutcome::kRetryable);
}

TEST_F(StreamInvokerTest, ReplicasShareTheWork) {
  FakeExecutor one("invoker-test-1");
  FakeExecutor two("invoker-test-2");
  one.SetCredit(100);
  two.SetCredit(100);
  SetAddresses({one.address(), two.address()});
  Start();
  ASSERT_TRUE(WaitForCapacity(200));
  std::vector<InvocationOrder> orders;
  for (Sequence i = 1; i <= 60; ++i) orders.push_back(Order(i));
  invoker_->Send(std::move(orders));
  EXPECT_EQ(one.WaitForInvocations(30).size(), 30U);
  EXPECT_EQ(two.WaitForInvocations(30).size(), 30U);
  // What the one cannot take goes to the other.
  orders.clear();
  for (Sequence i = 101; i <= 240; ++i) orders.push_back(Order(i));
  invoker_->Send(std::move(orders));
  EXPECT_EQ(one.WaitForInvocations(100).size(), 100U);
  EXPECT_EQ(two.WaitForInvocations(100).size(), 100U);
  EXPECT_EQ(results(), 0U);
}

TEST_F(StreamInvokerTest, ReplicasTakeTurnsWithWhatComesOneByOne) {
  FakeExecutor one("invoker-test-1");
  FakeExecutor two("invoker-test-2");
  one.SetCredit(100);
  two.SetCredit(100);
  SetAddresses({one.address(), two.address()});
  Start();
  ASSERT_TRUE(WaitForCapacity(200));
  for (Sequence i = 1; i <= 6; ++i) {
    FakeExecutor& executor = i % 2 == 1 ? one : two;
    Send(Order(i));
    const auto sent = executor.WaitForInvocations((i + 1) / 2);
    ASSERT_EQ(sent.size(), (i + 1) / 2) << i;
    executor.Answer(sent.back(), Outcome::SUCCEEDED);  // Both have the same free credit again.
    ASSERT_EQ(WaitForResults(i).size(), i);
  }
}

TEST_F(StreamInvokerTest, ADrainingExecutorGetsNothingNewAndStillAnswers) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1));
  const pb::Invocation sent = executor.WaitForInvocations(1)[0];
  executor.Drain();
  ASSERT_TRUE(WaitForCapacity(0));
  Send(Order(2));
  const auto rejected = WaitForResults(1);
  EXPECT_EQ(rejected[0].key.sequence, 2U);
  EXPECT_EQ(rejected[0].outcome, DeliveryOutcome::kRejected);
  executor.Answer(sent, Outcome::SUCCEEDED);
  const auto results = WaitForResults(2);
  EXPECT_EQ(results[1].key.sequence, 1U);
  EXPECT_EQ(results[1].outcome, DeliveryOutcome::kSucceeded);
}

TEST_F(StreamInvokerTest, CapacityFollowsTheExecutors) {
  FakeExecutor one("invoker-test-1");
  one.SetCredit(10);
  SetAddresses({one.address()});
  Start();
  ASSERT_TRUE(WaitForCapacity(10));
  FakeExecutor two("invoker-test-2");
  two.SetCredit(5);
  SetAddresses({one.address(), two.address()});
  ASSERT_TRUE(WaitForCapacity(15));
  EXPECT_EQ(invoker_->connected(), 2U);
  SetAddresses({two.address()});
  ASSERT_TRUE(WaitForCapacity(5));
  SetAddresses({});
  ASSERT_TRUE(WaitForCapacity(0));
  EXPECT_EQ(invoker_->connected(), 0U);
}

}  // namespace
}  // namespace penstock::broker
