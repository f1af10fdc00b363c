// What becomes of calls whose stream is lost, and when nothing of before the start runs any more.
#include <chrono>

#include "tests/unit/services/event-broker/invoker/invoker_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

using LostStreamsTest = InvokerTest;
using SettledTest = InvokerTest;

TEST_F(LostStreamsTest, ACallIsUnknownAtOnceAndTheStreamComesBack) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(BatchOrder(1, 2));
  executor.WaitForInvocations(1);
  executor.Break();
  const auto results = WaitForResults(2);
  for (const DeliveryResult& result : results) {
    EXPECT_EQ(result.outcome, DeliveryOutcome::kUnknown);
    EXPECT_EQ(result.error.type, "ExecutorLost");
  }
  ASSERT_TRUE(executor.WaitForStreams(2));
  ASSERT_TRUE(WaitForCapacity(8));
  PassThrough(executor, 9);
}

TEST_F(LostStreamsTest, AnOrderedCallIsInDoubtUntilTheNewStreamGetsCredit) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1, /*ordered=*/true));
  executor.WaitForInvocations(1);
  executor.SetCredit(0);
  executor.Break();
  // The new stream is there, but does not say yet that nothing of before runs.
  ASSERT_TRUE(executor.WaitForStreams(2));
  EXPECT_EQ(invoker_->in_doubt(), 1U);
  EXPECT_EQ(results(), 0U);
  executor.GiveCredit(8);
  const auto results = WaitForResults(1);
  EXPECT_EQ(results[0].outcome, DeliveryOutcome::kUnknown);
  EXPECT_EQ(results[0].key.sequence, 1U);
  EXPECT_EQ(invoker_->in_doubt(), 0U);
}

TEST_F(LostStreamsTest, AnOrderedCallIsOverSomeTimeAfterItsLimit) {
  options_.doubt_grace = 30ms;
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  executor.SetCredit(0);
  InvocationOrder order = Order(1, /*ordered=*/true);
  order.timeout = 50ms;
  const auto before = std::chrono::steady_clock::now();
  Send(std::move(order));
  executor.WaitForInvocations(1);
  executor.Break();
  EXPECT_EQ(WaitForResults(1)[0].outcome, DeliveryOutcome::kUnknown);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 80ms);
}

TEST_F(LostStreamsTest, AnOrderedCallWithoutALimitIsOverAfterTheLongestOne) {
  options_.call_time_max = 60ms;
  options_.doubt_grace = 20ms;
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  executor.SetCredit(0);
  InvocationOrder order = Order(1, /*ordered=*/true);
  order.timeout.reset();
  const auto before = std::chrono::steady_clock::now();
  Send(std::move(order));
  executor.WaitForInvocations(1);
  executor.Break();
  EXPECT_EQ(WaitForResults(1)[0].outcome, DeliveryOutcome::kUnknown);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 80ms);
}

TEST_F(LostStreamsTest, AnotherExecutorConfirmsNothing) {
  FakeExecutor one("invoker-test-1");
  StartWith(one, 8);
  Send(Order(1, /*ordered=*/true));
  one.WaitForInvocations(1);
  FakeExecutor two("invoker-test-2");
  two.SetCredit(3);
  SetAddresses({two.address()});
  ASSERT_TRUE(two.WaitForStreams(1));
  ASSERT_TRUE(WaitForCapacity(3));
  ASSERT_TRUE(WaitForDoubt(1));
  PassThrough(two, 9);
  EXPECT_EQ(invoker_->in_doubt(), 1U);
  EXPECT_EQ(results(), 1U);
}

TEST_F(LostStreamsTest, TheSameInstanceConfirmsUnderAnotherAddress) {
  FakeExecutor one("invoker-test-1");
  one.SetInstance("executor-7");
  StartWith(one, 8);
  Send(Order(1, /*ordered=*/true));
  one.WaitForInvocations(1);
  one.SetCredit(0);
  one.Break();
  ASSERT_TRUE(one.WaitForStreams(2));
  ASSERT_EQ(invoker_->in_doubt(), 1U);
  FakeExecutor moved("invoker-test-2");
  moved.SetInstance("executor-7");
  moved.SetCredit(8);
  SetAddresses({moved.address()});
  EXPECT_EQ(WaitForResults(1)[0].outcome, DeliveryOutcome::kUnknown);
}

TEST_F(LostStreamsTest, WithoutAnIdentityCreditConfirmsNothing) {
  options_.broker.clear();
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1, /*ordered=*/true));
  executor.WaitForInvocations(1);
  executor.Break();
  ASSERT_TRUE(executor.WaitForStreams(2));
  ASSERT_TRUE(WaitForCapacity(8));
  PassThrough(executor, 9);
  EXPECT_EQ(invoker_->in_doubt(), 1U);
}

TEST_F(LostStreamsTest, TooManyInDoubtStopFurtherOrderedCalls) {
  options_.doubtful_max = 2;
  FakeExecutor one("invoker-test-1");
  StartWith(one, 8);
  Send(Order(1, /*ordered=*/true));
  Send(Order(2, /*ordered=*/true));
  one.WaitForInvocations(2);
  FakeExecutor two("invoker-test-2");
  two.SetCredit(3);
  SetAddresses({two.address()});
  ASSERT_TRUE(WaitForCapacity(3));
  PassThrough(two, 9);
  ASSERT_TRUE(WaitForDoubt(2));
  Send(Order(3, /*ordered=*/true));
  const DeliveryResult refused = WaitForResults(2)[1];
  EXPECT_EQ(refused.outcome, DeliveryOutcome::kRejected);
  EXPECT_EQ(refused.error.type, "TooManyInDoubt");
  PassThrough(two, 10);
}

TEST_F(LostStreamsTest, AnExecutorThatHangsLosesItsStream) {
  options_.overdue_grace = 20ms;
  options_.doubt_grace = 1ms;
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  for (const bool ordered : {false, true}) {
    InvocationOrder order = Order(ordered ? 2 : 1, ordered);
    order.timeout = 10ms;
    Send(std::move(order));
  }
  Send(Order(3));  // Has time, but goes with the stream.
  const auto results = WaitForResults(3);
  for (const DeliveryResult& result : results) {
    EXPECT_EQ(result.outcome, DeliveryOutcome::kUnknown);
  }
  ASSERT_TRUE(executor.WaitForStreams(2));
}

TEST_F(LostStreamsTest, StoppingLeavesNoOrderWithoutAResult) {
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  Send(Order(1, /*ordered=*/true));
  Send(Order(2));
  executor.WaitForInvocations(2);
  invoker_->Stop();
  EXPECT_EQ(results(), 2U);
  Send(Order(3));
  const auto results = WaitForResults(3);
  EXPECT_EQ(results[2].outcome, DeliveryOutcome::kRejected);
}

TEST_F(SettledTest, ComesOnceAllExecutorsHaveGivenCredit) {
  FakeExecutor one("invoker-test-1");
  FakeExecutor two("invoker-test-2");
  one.SetCredit(16);  // More than the other, so that single orders come here.
  SetAddresses({one.address(), two.address()});
  Start();
  ASSERT_TRUE(one.WaitForStreams(1));
  ASSERT_TRUE(two.WaitForStreams(1));
  ASSERT_TRUE(WaitForCapacity(16));
  PassThrough(one, 1);
  EXPECT_EQ(settled(), 0);
  two.GiveCredit(8);
  ASSERT_TRUE(WaitForSettled());
  // Streams that come back do not settle again.
  one.Break();
  ASSERT_TRUE(one.WaitForStreams(2));
  ASSERT_TRUE(WaitForCapacity(24));
  PassThrough(one, 2);
  EXPECT_EQ(settled(), 1);
}

TEST_F(SettledTest, AStreamThatIsLostFirstDoesNotCount) {
  FakeExecutor executor("invoker-test");
  SetAddresses({executor.address()});
  Start();
  ASSERT_TRUE(executor.WaitForStreams(1));
  executor.Break();
  ASSERT_TRUE(executor.WaitForStreams(2));
  EXPECT_EQ(settled(), 0);
  executor.GiveCredit(1);
  EXPECT_TRUE(WaitForSettled());
}

TEST_F(SettledTest, DoesNotWaitForAnExecutorThatLeft) {
  FakeExecutor one("invoker-test-1");
  FakeExecutor two("invoker-test-2");
  one.SetCredit(8);
  SetAddresses({one.address(), two.address()});
  Start();
  ASSERT_TRUE(two.WaitForStreams(1));
  ASSERT_TRUE(WaitForCapacity(8));
  PassThrough(one, 1);
  EXPECT_EQ(settled(), 0);
  SetAddresses({one.address()});
  EXPECT_TRUE(WaitForSettled());
}

TEST_F(SettledTest, OneInstanceUnderTwoAddressesConfirmsByOneOfThem) {
  FakeExecutor one("invoker-test-1");
  FakeExecutor two("invoker-test-2");
  one.SetInstance("executor-7");
  two.SetInstance("executor-7");
  one.SetCredit(8);
  SetAddresses({one.address(), two.address()});
  Start();
  EXPECT_TRUE(WaitForSettled());
}

TEST_F(SettledTest, ComesAfterTheLongestCallWhereNoExecutorAnswers) {
  options_.call_time_max = 60ms;
  options_.doubt_grace = 20ms;
  const auto before = std::chrono::steady_clock::now();
  Start();
  ASSERT_TRUE(WaitForSettled());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 80ms);
}

TEST_F(SettledTest, NeedsTheTimeWithoutAnIdentity) {
  options_.broker.clear();
  FakeExecutor executor("invoker-test");
  StartWith(executor, 8);
  PassThrough(executor, 1);
  EXPECT_EQ(settled(), 0);
}

}  // namespace
}  // namespace penstock::broker
