#include "services/event-broker/storage/dedup_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace penstock::broker {
namespace {

using std::chrono::seconds;

Hash128 HashOf(std::uint64_t i) {
  return HashParts({3, 4}, {std::string_view(reinterpret_cast<const char*>(&i), sizeof i)});
}

MonotonicTime At(int second) { return MonotonicTime(seconds(1000 + second)); }

TEST(DedupTableTest, FindsWhatWasInsertedWithinTheWindow) {
  DedupTable table(1000, seconds(300));
  table.Advance(At(0));
  table.Insert({HashOf(1), 10, 7});
  table.Advance(At(299));
  ASSERT_NE(table.Find(HashOf(1)), nullptr);
  EXPECT_EQ(table.Find(HashOf(1))->sequence, 10u);
  EXPECT_EQ(table.Find(HashOf(2)), nullptr);
  table.Advance(At(331));
  EXPECT_EQ(table.Find(HashOf(1)), nullptr);
  EXPECT_EQ(table.entries(), 0u);
  EXPECT_EQ(table.window_kept(), seconds(300));
}

TEST(DedupTableTest, NeverForgetsBeforeTheWindowEndsAndAlwaysSoonAfter) {
  DedupTable table(100'000, seconds(100));
  std::map<std::uint64_t, int> inserted;
  std::mt19937_64 random(5);
  std::uint64_t next = 0;
  for (int second = 0; second < 1000; second += static_cast<int>(random() % 7)) {
    table.Advance(At(second));
    for (std::uint64_t i = random() % 200; i > 0; --i) {
      table.Insert({HashOf(next), next, 0});
      inserted[next++] = second;
    }
    for (auto it = inserted.begin(); it != inserted.end();) {
      const bool known = table.Find(HashOf(it->first)) != nullptr;
      const int age = second - it->second;
      EXPECT_TRUE(known || age >= 100) << it->first;
      EXPECT_TRUE(!known || age <= 120) << it->first;
      it = second - it->second > 130 ? inserted.erase(it) : std::next(it);
    }
  }
}

TEST(DedupTableTest, DropsTheOldestEarlyAtTheBoundAndSaysSo) {
  DedupTable table(1000, seconds(300));
  for (int i = 0; i < 50'000; ++i) {
    table.Advance(MonotonicTime(seconds(1000)) + Microseconds(i * 1000));
    ASSERT_EQ(table.Find(HashOf(static_cast<std::uint64_t>(i))), nullptr);
    table.Insert({HashOf(static_cast<std::uint64_t>(i)), static_cast<Sequence>(i), 0});
    ASSERT_LE(table.entries(), 1000u);
  }
  EXPECT_EQ(table.Find(HashOf(0)), nullptr);
  for (std::uint64_t i = 49'200; i < 50'000; ++i) EXPECT_NE(table.Find(HashOf(i)), nullptr) << i;
  EXPECT_GE(table.window_kept(), Microseconds(800'000));
  EXPECT_LE(table.window_kept(), Microseconds(1'000'000));
}

TEST(DedupTableTest, TakesBackABatchAndKeepsTheRest) {
  DedupTable table(100'000, seconds(300));
  table.Advance(At(0));
  for (std::uint64_t i = 0; i < 20'000; ++i) table.Insert({HashOf(i), i, 0});
  const std::uint64_t mark = table.mark();
  for (std::uint64_t i = 20'000; i < 30'000; ++i) table.Insert({HashOf(i), i, 0});
  table.TakeBackTo(mark);
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    EXPECT_EQ(table.Find(HashOf(i)) != nullptr, i < 20'000) << i;
  }
  EXPECT_EQ(table.entries(), 20'000u);
}

TEST(DedupTableTest, TakesBackABatchThatOverranTheBound) {
  DedupTable table(16, seconds(300));
  table.Advance(At(0));
  for (std::uint64_t i = 0; i < 10; ++i) table.Insert({HashOf(i), i, 0});
  const std::uint64_t mark = table.mark();
  for (std::uint64_t i = 10; i < 100; ++i) table.Insert({HashOf(i), i, 0});
  table.TakeBackTo(mark);
  for (std::uint64_t i = 10; i < 100; ++i) EXPECT_EQ(table.Find(HashOf(i)), nullptr) << i;
  for (std::uint64_t i = 200; i < 300; ++i) table.Insert({HashOf(i), i, 0});
  EXPECT_NE(table.Find(HashOf(299)), nullptr);
}

}  // namespace
}  // namespace penstock::broker
