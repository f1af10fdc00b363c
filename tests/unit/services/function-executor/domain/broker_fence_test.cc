#include "services/function-executor/domain/broker_fence.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace penstock::executor {
namespace {

struct Entered {
  BrokerFence::Ticket ticket = 0;
  int cleared = 0;
};

void Enter(BrokerFence& fence, const std::string& broker, Entered* stream) {
  stream->ticket = fence.Enter(broker, [stream] { ++stream->cleared; });
}

TEST(BrokerFenceTest, TheFirstStreamIsClearAtOnce) {
  BrokerFence fence;
  Entered first;
  Enter(fence, "a", &first);
  EXPECT_EQ(first.cleared, 1);
  EXPECT_EQ(fence.Ahead("a", first.ticket), 0U);
}

TEST(BrokerFenceTest, ALaterOneWaitsForAllBeforeIt) {
  BrokerFence fence;
  Entered first;
  Entered second;
  Entered third;
  Enter(fence, "a", &first);
  Enter(fence, "a", &second);
  Enter(fence, "a", &third);
  EXPECT_EQ(fence.Ahead("a", third.ticket), 2U);
  fence.Leave("a", second.ticket);
  EXPECT_EQ(third.cleared, 0);
  fence.Leave("a", first.ticket);
  EXPECT_EQ(second.cleared, 0) << "it has left";
  EXPECT_EQ(third.cleared, 1);
  fence.Leave("a", third.ticket);
  EXPECT_EQ(third.cleared, 1);
}

TEST(BrokerFenceTest, BrokersDoNotWaitForEachOther) {
  BrokerFence fence;
  Entered one;
  Entered other;
  Enter(fence, "a", &one);
  Enter(fence, "b", &other);
  EXPECT_EQ(other.cleared, 1);
}

TEST(BrokerFenceTest, AStreamThatIsClearLeavesOutOfTurnWithoutClearingAnother) {
  BrokerFence fence;
  Entered first;
  Entered second;
  Enter(fence, "a", &first);
  Enter(fence, "a", &second);
  fence.Leave("a", first.ticket);
  fence.Leave("a", first.ticket);  // Again, for nothing.
  EXPECT_EQ(second.cleared, 1);
  Entered third;
  Enter(fence, "a", &third);
  EXPECT_EQ(third.cleared, 0);
  fence.Leave("a", second.ticket);
  EXPECT_EQ(third.cleared, 1);
}

TEST(BrokerFenceTest, EachIsClearedOnceWhateverThreadsDo) {
  BrokerFence fence;
  constexpr int kThreads = 4;
  constexpr int kRounds = 500;
  std::atomic<int> inside{0};
  std::atomic<int> cleared{0};
  std::atomic<int> together{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        std::atomic<bool> is_clear{false};
        const auto ticket = fence.Enter("a", [&] {
          if (inside++ > 0) ++together;
          ++cleared;
          is_clear = true;
        });
        while (!is_clear) std::this_thread::yield();
        --inside;
        fence.Leave("a", ticket);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cleared, kThreads * kRounds);
  EXPECT_EQ(together, 0);
}

}  // namespace
}  // namespace penstock::executor
