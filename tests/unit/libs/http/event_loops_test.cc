#include "libs/http/event_loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "libs/base/callback_guard.h"
#include "tests/unit/libs/http/raw_socket.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;

TEST(EventLoopsTest, RunsTasksOnTheLoopInsideACallbackScope) {
  EventLoops loops({.threads = 2});
  EXPECT_EQ(loops.CurrentLoop(), -1);
  for (int i = 0; i < 2; ++i) {
    std::promise<int> current;
    loops.Post(i, [&] {
      EXPECT_TRUE(InCallback());
      EXPECT_EQ(loops.PickLoop(), i);
      current.set_value(loops.CurrentLoop());
    });
    EXPECT_EQ(current.get_future().get(), i);
  }
}

TEST(EventLoopsTest, KnowsItsOwnThreadsFromThoseOfOthers) {
  EventLoops first;
  EventLoops second;
  first.RunAndWait(0, [&] {
    EXPECT_EQ(first.CurrentLoop(), 0);
    EXPECT_EQ(second.CurrentLoop(), -1);
  });
}

TEST(EventLoopsTest, PicksLoopsInTurnFromOutside) {
  EventLoops loops({.threads = 3});
  const int first = loops.PickLoop();
  EXPECT_EQ(loops.PickLoop(), (first + 1) % 3);
  EXPECT_EQ(loops.PickLoop(), (first + 2) % 3);
}

TEST(EventLoopsTest, KeepsTheOrderOfOneCallersTasks) {
  EventLoops loops;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) loops.Post(0, [&order, i] { order.push_back(i); });
  loops.RunAndWait(0, [] {});
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(EventLoopsTest, RunsATimerAfterItsDelay) {
  EventLoops loops;
  std::promise<std::chrono::steady_clock::time_point> fired;
  const auto start = std::chrono::steady_clock::now();
  loops.RunAfter(0, 20ms, [&] { fired.set_value(std::chrono::steady_clock::now()); });
  EXPECT_GE(fired.get_future().get() - start, 20ms);
}

TEST(EventLoopsTest, NeverRunsACancelledTimer) {
  EventLoops loops;
  std::atomic<bool> ran{false};
  const auto timer = loops.RunAfter(0, 1h, [&] { ran = true; });
  timer->Cancel();
  timer->Cancel();
  loops.RunAndWait(0, [&] {
    // Due at once, but cancelled on the loop before it can run.
    const auto due = loops.RunAfter(0, 0us, [&] { ran = true; });
    due->Cancel();
  });
  // A timer that is due later than the cancelled one shows that its time has passed.
  std::promise<void> later;
  loops.RunAfter(0, 5ms, [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(EventLoopsTest, DestroysTheTaskOfACancelledTimer) {
  EventLoops loops;
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  const auto timer = loops.RunAfter(0, 1h, [token = std::move(token)] {});
  timer->Cancel();
  EXPECT_TRUE(WaitFor([&] { return watch.expired(); }));
}

TEST(EventLoopsTest, TimerHandlesOutliveTheLoops) {
  std::shared_ptr<Cancelable> timer;
  {
    EventLoops loops;
    timer = loops.RunAfter(0, 1h, [] {});
  }
  timer->Cancel();
}

TEST(EventLoopsTest, MeasuresHowLateHandlersRun) {
  EventLoops loops({.threads = 2});
  loops.MaxLag();
  std::atomic<bool> release{false};
  loops.Post(1, [&] {
    while (!release) std::this_thread::yield();
  });
  // Seen while the loop is still stuck.
  EXPECT_TRUE(WaitFor([&] { return loops.MaxLag() > 60ms; }));
  release = true;
  EXPECT_TRUE(WaitFor([&] { return loops.MaxLag() < 40ms; }));
}

TEST(EventLoopsTest, RunAndWaitWorksAfterStop) {
  EventLoops loops;
  loops.Stop();
  loops.Stop();
  bool ran = false;
  loops.RunAndWait(0, [&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(EventLoopsTest, DestroysTasksThatNeverRan) {
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  {
    EventLoops loops;
    loops.Stop();
    loops.Post(0, [token = std::move(token)] {});
  }
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace penstock::http
