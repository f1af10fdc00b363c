#include "services/gateway/domain/route_book.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace penstock::gateway {
namespace {

RouteUpdate Added(std::string subscription, std::string path) {
  RouteUpdate update;
  update.route.subscription = std::move(subscription);
  update.route.method = "GET";
  update.route.path = std::move(path);
  return update;
}

RouteUpdate Deleted(std::string subscription) {
  RouteUpdate update;
  update.route.subscription = std::move(subscription);
  update.deleted = true;
  return update;
}

bool Serves(const RouteBook& book, const char* path) {
  return book.table()->Match("GET", "", path).route != nullptr;
}

TEST(RouteBookTest, StartsEmptyAtRevisionZero) {
  const RouteBook book;
  EXPECT_EQ(book.revision(), 0);
  EXPECT_FALSE(Serves(book, "/a"));
}

TEST(RouteBookTest, AppliesChangesToTheSnapshot) {
  RouteBook book;
  book.ApplySnapshot({Added("a", "/a"), Added("b", "/b")}, 5);
  book.ApplyChanges({Deleted("a"), Added("c", "/c")}, 7);
  EXPECT_FALSE(Serves(book, "/a"));
  EXPECT_TRUE(Serves(book, "/b"));
  EXPECT_TRUE(Serves(book, "/c"));
  EXPECT_FALSE(book.Has("a"));
  EXPECT_TRUE(book.Has("c"));
  EXPECT_EQ(book.revision(), 7);
  EXPECT_EQ(book.size(), 2u);
}

TEST(RouteBookTest, ChangesTheRouteOfASubscription) {
  RouteBook book;
  book.ApplySnapshot({Added("a", "/old")}, 1);
  book.ApplyChanges({Added("a", "/new")}, 2);
  EXPECT_FALSE(Serves(book, "/old"));
  EXPECT_TRUE(Serves(book, "/new"));
}

TEST(RouteBookTest, ASnapshotForgetsEverythingBefore) {
  RouteBook book;
  book.ApplySnapshot({Added("a", "/a")}, 9);
  book.ApplySnapshot({Added("b", "/b")}, 3);
  EXPECT_FALSE(Serves(book, "/a"));
  EXPECT_TRUE(Serves(book, "/b"));
  EXPECT_EQ(book.revision(), 3);
}

TEST(RouteBookTest, ATableOutlivesTheChangesAfterIt) {
  RouteBook book;
  book.ApplySnapshot({Added("a", "/a")}, 1);
  const auto before = book.table();
  book.ApplyChanges({Deleted("a")}, 2);
  EXPECT_NE(before->Match("GET", "", "/a").route, nullptr);
}

TEST(RouteBookTest, CallsAWaiterAtOnceWhenItHasTheRevision) {
  RouteBook book;
  book.ApplySnapshot({}, 4);
  bool reached = false;
  EXPECT_EQ(book.WaitFor(4, [&] { reached = true; }), 0);
  EXPECT_TRUE(reached);
}

TEST(RouteBookTest, CallsAWaiterWhenTheRevisionComes) {
  RouteBook book;
  int reached = 0;
  book.WaitFor(2, [&] { ++reached; });
  book.ApplyChanges({}, 1);
  EXPECT_EQ(reached, 0);
  book.ApplyChanges({}, 3);
  EXPECT_EQ(reached, 1);
  book.ApplyChanges({}, 4);
  EXPECT_EQ(reached, 1);
}

TEST(RouteBookTest, NeverCallsACancelledWaiter) {
  RouteBook book;
  bool reached = false;
  const auto id = book.WaitFor(2, [&] { reached = true; });
  EXPECT_TRUE(book.CancelWait(id));
  book.ApplyChanges({}, 2);
  EXPECT_FALSE(reached);
  EXPECT_FALSE(book.CancelWait(id));
}

TEST(RouteBookTest, AWaiterMayUseTheBook) {
  RouteBook book;
  bool has = false;
  book.WaitFor(1, [&] { has = book.Has("a"); });
  book.ApplySnapshot({Added("a", "/a")}, 1);
  EXPECT_TRUE(has);
}

}  // namespace
}  // namespace penstock::gateway
