#include "services/gateway/domain/publish_window.h"

#include <gtest/gtest.h>

namespace penstock::gateway {
namespace {

constexpr PublishLimits kLimits{.events_max = 8, .bytes_max = 80};

TEST(PublishWindowTest, GivesASpaceAQuarter) {
  PublishWindow window(kLimits);
  EXPECT_TRUE(window.TryReserve("a", 1, 1));
  EXPECT_TRUE(window.TryReserve("a", 1, 1));
  EXPECT_FALSE(window.TryReserve("a", 1, 1));
  EXPECT_TRUE(window.TryReserve("b", 1, 1));
  window.Release("a", 1);
  EXPECT_TRUE(window.TryReserve("a", 1, 1));
}

TEST(PublishWindowTest, CountsBytesToo) {
  PublishWindow window(kLimits);
  EXPECT_TRUE(window.TryReserve("a", 1, 15));
  EXPECT_FALSE(window.TryReserve("a", 1, 6));
  EXPECT_TRUE(window.TryReserve("a", 1, 5));
}

TEST(PublishWindowTest, TakesAWholeRequestOfASpaceWithNothingWaiting) {
  PublishWindow window(kLimits);
  EXPECT_TRUE(window.TryReserve("a", 5, 50));
  EXPECT_FALSE(window.TryReserve("a", 1, 1));
  for (int i = 0; i < 5; ++i) window.Release("a", 10);
  EXPECT_EQ(window.events(), 0u);
  EXPECT_EQ(window.bytes(), 0u);
  EXPECT_TRUE(window.TryReserve("a", 8, 80));
}

TEST(PublishWindowTest, NeverExceedsTheWhole) {
  PublishWindow window(kLimits);
  EXPECT_TRUE(window.TryReserve("a", 5, 5));
  EXPECT_FALSE(window.TryReserve("b", 4, 4));
  EXPECT_TRUE(window.TryReserve("b", 3, 3));
  EXPECT_FALSE(window.TryReserve("c", 1, 1));
  EXPECT_FALSE(PublishWindow(kLimits).TryReserve("a", 1, 81));
}

TEST(PublishWindowTest, AReleaseOfAnUnknownSpaceChangesNothing) {
  PublishWindow window(kLimits);
  window.Release("a", 1);
  EXPECT_EQ(window.events(), 0u);
}

}  // namespace
}  // namespace penstock::gateway
