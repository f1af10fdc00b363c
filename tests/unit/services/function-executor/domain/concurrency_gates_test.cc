#include "services/function-executor/domain/concurrency_gates.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "services/function-executor/domain/epoch_guard.h"

namespace penstock::executor {
namespace {

using Entry = ConcurrencyGates::Entry;

struct Waiter final : ConcurrencyGates::Waiter {
  explicit Waiter(std::function<void()> then = {}) : on_admitted(std::move(then)) {}
  void OnAdmitted() override {
    admitted = true;
    if (on_admitted) on_admitted();
  }
  std::function<void()> on_admitted;
  bool admitted = false;
};

TEST(ConcurrencyGatesTest, AdmitsUpToTheLimitThenQueuesThenRefuses) {
  ConcurrencyGates gates(1);
  const auto queued = std::make_shared<Waiter>();
  EXPECT_EQ(gates.Enter("f", 2, std::make_shared<Waiter>()), Entry::kAdmitted);
  EXPECT_EQ(gates.Enter("f", 2, std::make_shared<Waiter>()), Entry::kAdmitted);
  EXPECT_EQ(gates.Enter("f", 2, queued), Entry::kQueued);
  EXPECT_EQ(gates.Enter("f", 2, std::make_shared<Waiter>()), Entry::kFull);
  EXPECT_EQ(gates.Enter("g", 1, std::make_shared<Waiter>()), Entry::kAdmitted)
      << "functions do not share slots";
  EXPECT_EQ(gates.queued(), 1U);
  EXPECT_FALSE(queued->admitted);
  gates.Release("f");
  EXPECT_TRUE(queued->admitted);
  EXPECT_EQ(gates.queued(), 0U);
}

TEST(ConcurrencyGatesTest, ARaisedLimitCountsAtOnce) {
  ConcurrencyGates gates(8);
  gates.Enter("f", 1, std::make_shared<Waiter>());
  const auto first = std::make_shared<Waiter>();
  const auto second = std::make_shared<Waiter>();
  gates.Enter("f", 1, first);
  gates.Enter("f", 3, second);
  gates.Release("f");
  EXPECT_TRUE(first->admitted);
  EXPECT_TRUE(second->admitted);
}

TEST(ConcurrencyGatesTest, WhoLeavesIsNotAdmitted) {
  ConcurrencyGates gates(8);
  gates.Enter("f", 1, std::make_shared<Waiter>());
  const auto gone = std::make_shared<Waiter>();
  const auto next = std::make_shared<Waiter>();
  gates.Enter("f", 1, gone);
  gates.Enter("f", 1, next);
  EXPECT_TRUE(gates.Leave("f", gone));
  EXPECT_FALSE(gates.Leave("f", gone));
  gates.Release("f");
  EXPECT_FALSE(gone->admitted);
  EXPECT_TRUE(next->admitted);
}

TEST(ConcurrencyGatesTest, AQueueOfCallsThatEndAtOnceDoesNotGrowTheStack) {
  constexpr int kCalls = 100'000;
  ConcurrencyGates gates(kCalls);
  gates.Enter("f", 1, std::make_shared<Waiter>());
  int ended = 0;
  for (int i = 0; i < kCalls; ++i) {
    gates.Enter("f", 1, std::make_shared<Waiter>([&] {
                  ++ended;
                  gates.Release("f");
                }));
  }
  gates.Release("f");
  EXPECT_EQ(ended, kCalls);
  EXPECT_EQ(gates.Enter("f", 1, std::make_shared<Waiter>()), Entry::kAdmitted);
}

TEST(EpochGuardTest, RefusesOlderEpochsOfTheSameSubscription) {
  EpochGuard guard;
  EXPECT_TRUE(guard.Admit("a", 5));
  EXPECT_TRUE(guard.Admit("a", 5));
  EXPECT_TRUE(guard.Admit("a", 7));
  EXPECT_FALSE(guard.Admit("a", 5));
  EXPECT_TRUE(guard.Admit("b", 1));
}

TEST(EpochGuardTest, StaysBounded) {
  EpochGuard guard(2);
  EXPECT_TRUE(guard.Admit("a", 5));
  EXPECT_TRUE(guard.Admit("b", 5));
  EXPECT_TRUE(guard.Admit("c", 5));
  EXPECT_TRUE(guard.Admit("a", 1)) << "forgotten, and not refused for ever";
}

}  // namespace
}  // namespace penstock::executor
