#include "libs/http/per_loop.h"

#include <atomic>
#include <memory>
#include <thread>

#include "gtest/gtest.h"

namespace penstock::http {
namespace {

// Two fields that agree, so that half a value would show.
struct Pair {
  explicit Pair(int number, std::atomic<int>& count) : a(number), b(number), alive(count) {
    ++alive;
  }
  ~Pair() {
    a = b = -1;
    --alive;
  }
  int a;
  int b;
  std::atomic<int>& alive;
};

TEST(PerLoopTest, AllLoopsHaveTheNewValueWhenExchangeReturns) {
  EventLoops loops({.threads = 3, .name = "test"});
  std::atomic<int> alive{0};
  PerLoop<Pair> value(loops, std::make_shared<const Pair>(1, alive));
  for (int number = 2; number < 5; ++number) {
    value.Exchange(std::make_shared<const Pair>(number, alive));
    for (int loop = 0; loop < loops.size(); ++loop) {
      loops.RunAndWait(loop, [&, loop] {
        EXPECT_EQ(value.Get()->a, number);
        EXPECT_EQ(&value.Get(), &value.Get(loop));
      });
    }
    EXPECT_EQ(alive, 1);
  }
  value.Exchange(nullptr);
  EXPECT_EQ(alive, 0);
}

TEST(PerLoopTest, LoopsShareNoCount) {
  EventLoops loops({.threads = 2, .name = "test"});
  std::atomic<int> alive{0};
  PerLoop<Pair> value(loops, std::make_shared<const Pair>(1, alive));
  const auto kept = value.Get(0);
  EXPECT_EQ(kept.use_count(), 2);
  EXPECT_EQ(value.Get(1).use_count(), 1);
  EXPECT_EQ(kept.get(), value.Get(1).get());
}

TEST(PerLoopTest, WhatIsKeptStaysWhileOthersExchange) {
  EventLoops loops({.threads = 2, .name = "test"});
  std::atomic<int> alive{0};
  PerLoop<Pair> value(loops, std::make_shared<const Pair>(0, alive));
  std::atomic<bool> stop{false};
  std::atomic<int> looks{0};
  // A chain of handlers on each loop; each holds what it saw until the next one runs.
  struct Looker {
    EventLoops& loops;
    const PerLoop<Pair>& value;
    std::atomic<bool>& stop;
    std::atomic<int>& looks;
    int loop;
    std::shared_ptr<const Pair> kept;

    void Look(const std::shared_ptr<Looker>& self) {
      if (kept != nullptr) {
        EXPECT_GE(kept->a, 0);
        EXPECT_EQ(kept->a, kept->b);
        EXPECT_LE(kept->a, value.Get()->a);
      }
      kept = value.Get();
      ++looks;
      if (stop) return kept.reset();
      loops.Post(loop, [self] { self->Look(self); });
    }
  };
  for (int loop = 0; loop < loops.size(); ++loop) {
    auto looker = std::make_shared<Looker>(Looker{loops, value, stop, looks, loop, nullptr});
    loops.Post(loop, [looker] { looker->Look(looker); });
  }
  for (int number = 1; number <= 500; ++number) {
    value.Exchange(std::make_shared<const Pair>(number, alive));
  }
  stop = true;
  for (int loop = 0; loop < loops.size(); ++loop) {
    // After the look that sees the end.
    loops.RunAndWait(loop, [] {});
    loops.RunAndWait(loop, [] {});
  }
  EXPECT_GT(looks, 500);
  EXPECT_EQ(alive, 1);
}

}  // namespace
}  // namespace penstock::http
