#include "services/function-manager/domain/change_feed.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

// A watcher that applies what it is told, as the executor does.
struct Watcher {
  explicit Watcher(ChangeFeed& given) : feed(given) {}
  ~Watcher() {
    if (watch != nullptr) feed.Remove(watch);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  absl::Status Open(std::int64_t from) {
    auto opened =
        feed.Open(from, {.offer = [this](const WatchBatch& batch) { return Offer(batch); },
                         .end = [this](const absl::Status& status) { end = status; }});
    if (!opened.ok()) return opened.status();
    watch = *opened;
    watch->OnCommit();
    return absl::OkStatus();
  }

  bool Offer(const WatchBatch& batch) {
    if (room == 0) return false;
    --room;
    batches.push_back(batch);
    if (batch.is_snapshot_begin) known.clear();
    for (const Change& change : batch.changes) {
      EXPECT_GT(change.function.revision, batch.is_snapshot_begin ? 0 : last_change);
      last_change = change.function.revision;
      if (change.is_deleted) {
        known.erase(change.function.name.id);
      } else {
        known[change.function.name.id] = change.function.version;
      }
    }
    if (batch.revision != 0) revision = batch.revision;
    return true;
  }

  ChangeFeed& feed;
  std::shared_ptr<FunctionWatch> watch;
  int room = 1'000'000;
  std::vector<WatchBatch> batches;
  std::map<std::string, std::int64_t> known;
  std::int64_t last_change = 0;
  std::int64_t revision = 0;
  absl::Status end;
};

class ChangeFeedTest : public testing::Test {
 protected:
  std::int64_t Put(const std::string& id, std::int64_t version = 1) {
    Function function = NamedFunction(id);
    function.version = version;
    if (version == 1) function.uid += std::to_string(++creations_);
    if (version != 1) function.uid += std::to_string(creations_);
    EXPECT_TRUE(Write(store_, [&](FunctionWriter& writer) { return writer.Put(function); }).ok());
    return function.revision;
  }
  void Remove(const std::string& id) {
    EXPECT_TRUE(Write(store_, [&](FunctionWriter& writer) {
                  return writer.Remove({"default", id}).status();
                }).ok());
  }

  using Known = std::map<std::string, std::int64_t>;
  int creations_ = 0;
  FakeFunctionStore store_{1000, 4};
  ChangeFeed feed_{store_, {.watches_max = 3, .batch = {.count_max = 2}}};
};

TEST_F(ChangeFeedTest, StartsWithASnapshotAlsoWhenThereIsNothing) {
  Watcher watcher(feed_);
  ASSERT_TRUE(watcher.Open(0).ok());
  ASSERT_EQ(watcher.batches.size(), 1U);
  EXPECT_TRUE(watcher.batches[0].is_snapshot_begin);
  EXPECT_TRUE(watcher.batches[0].is_snapshot_end);
  EXPECT_EQ(watcher.revision, 1000);
}

TEST_F(ChangeFeedTest, GivesTheSnapshotInPiecesAndThenEachChange) {
  for (const char* id : {"a", "b", "c"}) Put(id);
  Watcher watcher(feed_);
  ASSERT_TRUE(watcher.Open(0).ok());
  ASSERT_EQ(watcher.batches.size(), 2U);
  EXPECT_TRUE(watcher.batches[0].is_snapshot_begin);
  EXPECT_FALSE(watcher.batches[0].is_snapshot_end);
  EXPECT_EQ(watcher.batches[0].revision, 0);
  EXPECT_FALSE(watcher.batches[1].is_snapshot_begin);
  EXPECT_TRUE(watcher.batches[1].is_snapshot_end);
  EXPECT_EQ(watcher.revision, 1003);
  EXPECT_EQ(watcher.known, (Known{{"a", 1}, {"b", 1}, {"c", 1}}));

  Put("c", 2);
  Remove("a");
  EXPECT_EQ(watcher.known, (Known{{"b", 1}, {"c", 2}}));
  EXPECT_EQ(watcher.batches.size(), 4U);
  EXPECT_EQ(watcher.revision, 1005);
}

TEST_F(ChangeFeedTest, ContinuesFromARevision) {
  Put("a");
  const std::int64_t known = Put("b");
  Put("c");
  Remove("a");
  Watcher watcher(feed_);
  watcher.known = {{"a", 1}, {"b", 1}};
  ASSERT_TRUE(watcher.Open(known).ok());
  ASSERT_EQ(watcher.batches.size(), 1U);
  EXPECT_FALSE(watcher.batches[0].is_snapshot_begin);
  EXPECT_EQ(watcher.known, (Known{{"b", 1}, {"c", 1}}));

  Watcher current(feed_);
  ASSERT_TRUE(current.Open(watcher.revision).ok());
  ASSERT_EQ(current.batches.size(), 1U) << "it is told that it has everything";
  EXPECT_TRUE(current.batches[0].changes.empty());
  EXPECT_FALSE(current.batches[0].is_snapshot_begin);
}

TEST_F(ChangeFeedTest, GivesASnapshotWhenItCannotContinue) {
  for (int i = 0; i < 6; ++i) {
    Put("x");
    Remove("x");
  }
  Put("a");
  for (const std::int64_t from : {std::int64_t{1}, std::int64_t{1001}, std::int64_t{99'999'999}}) {
    Watcher watcher(feed_);
    watcher.known = {{"x", 1}};
    ASSERT_TRUE(watcher.Open(from).ok());
    EXPECT_TRUE(watcher.batches.at(0).is_snapshot_begin) << from;
    EXPECT_EQ(watcher.known, (Known{{"a", 1}}));
    feed_.Remove(watcher.watch);
  }
}

TEST_F(ChangeFeedTest, WaitsForASlowWatcherAndMissesNothing) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Put(id);
  Watcher watcher(feed_);
  watcher.room = 1;
  ASSERT_TRUE(watcher.Open(0).ok());
  EXPECT_EQ(watcher.batches.size(), 1U);
  Remove("a");
  Put("c", 2);
  Put("f");
  EXPECT_EQ(watcher.batches.size(), 1U);
  watcher.watch->OnWritable();
  EXPECT_EQ(watcher.batches.size(), 1U) << "still no room";
  watcher.room = 1'000'000;
  watcher.watch->OnWritable();
  EXPECT_EQ(watcher.known, (Known{{"b", 1}, {"c", 2}, {"d", 1}, {"e", 1}, {"f", 1}}));
  EXPECT_TRUE(watcher.batches.back().is_snapshot_end);
}

TEST_F(ChangeFeedTest, BeginsTheSnapshotAgainWhenDeletionsInItWereForgotten) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Put(id);
  Watcher watcher(feed_);
  watcher.room = 1;
  ASSERT_TRUE(watcher.Open(0).ok());
  for (const char* id : {"a", "b", "c", "d", "e"}) Remove(id);
  Put("z");
  watcher.last_change = 0;
  watcher.room = 1'000'000;
  watcher.watch->OnWritable();
  EXPECT_EQ(watcher.known, (Known{{"z", 1}}));
}

TEST_F(ChangeFeedTest, TakesRoomThatComesWhileItOffers) {
  // The sink refuses, and gets room before the watch has noticed the refusal.
  std::shared_ptr<FunctionWatch> watch;
  int offers = 0;
  auto opened = feed_.Open(0, {.offer =
                                   [&](const WatchBatch&) {
                                     if (++offers == 1) {
                                       watch->OnWritable();
                                       return false;
                                     }
                                     return true;
                                   },
                               .end = [](const absl::Status&) {}});
  ASSERT_TRUE(opened.ok());
  watch = *opened;
  watch->OnCommit();
  EXPECT_EQ(offers, 2);
  feed_.Remove(watch);
}

TEST_F(ChangeFeedTest, BoundsAndEndsWatches) {
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 3; ++i) {
    watchers.push_back(std::make_unique<Watcher>(feed_));
    ASSERT_TRUE(watchers.back()->Open(0).ok());
  }
  EXPECT_EQ(Watcher(feed_).Open(0).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Watcher(feed_).Open(-1).code(), absl::StatusCode::kInvalidArgument);
  feed_.Remove(watchers[0]->watch);
  EXPECT_EQ(feed_.size(), 2U);
  feed_.Close(absl::UnavailableError("stop"));
  EXPECT_TRUE(watchers[0]->end.ok()) << "it was gone already";
  EXPECT_EQ(watchers[1]->end.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(watchers[2]->end.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Watcher(feed_).Open(0).code(), absl::StatusCode::kUnavailable);
  Put("late");
  EXPECT_TRUE(watchers[1]->known.empty());
}

TEST_F(ChangeFeedTest, EndsAWatchWhoseStoreFails) {
  Watcher watcher(feed_);
  store_.Stop();
  ASSERT_TRUE(watcher.Open(0).ok());
  EXPECT_EQ(watcher.end.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::functions
