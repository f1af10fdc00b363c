#include "services/function-executor/storage/sqlite_execution_store.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "services/function-executor/storage/execution_rows.h"
#include "tests/unit/services/function-executor/store_fixture.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

class SqliteExecutionStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteExecutionStore> Open() {
    options_.path = folder_.path() + "/executions.db";
    auto store = SqliteExecutionStore::Open(options_, clock_, metrics_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  static std::size_t Count(ExecutionStore& store) {
    ExecutionQuery query;
    query.space = "default";
    query.limit = 1'000'000;
    const auto records = ListNow(store, query);
    EXPECT_TRUE(records.ok()) << records.status();
    return records.ok() ? records->size() : 0;
  }

  // Written now, as far as this store knows.
  ExecutionRecord Record(int number) const {
    ExecutionRecord record = MakeRecord(number);
    record.start = clock_.Wall();
    return record;
  }

  TempFolder folder_;
  FakeClock clock_;
  metrics::Registry metrics_;
  SqliteExecutionStore::Options options_;
};

TEST_F(SqliteExecutionStoreTest, ReadsSeeWhatWasTakenBeforeThem) {
  options_.write_interval = 3600s;  // Only a read makes it write.
  const auto store = Open();
  for (int i = 0; i < 100; ++i) {
    store->Append(Record(i), {});
    EXPECT_TRUE(GetNow(*store, "default", Record(i).id).ok()) << i;
  }
}

TEST_F(SqliteExecutionStoreTest, RecordsSurviveARestart) {
  {
    const auto store = Open();
    for (int i = 0; i < 50; ++i) store->Append(Record(i), {});
    store->Stop();
    EXPECT_EQ(GetNow(*store, "default", Record(0).id).status().code(),
              absl::StatusCode::kUnavailable);
  }
  const auto store = Open();
  EXPECT_EQ(Count(*store), 50U);
}

TEST_F(SqliteExecutionStoreTest, KeepsNoMoreThanTheCount) {
  options_.retention_count = 100;
  options_.write_interval = 1ms;
  const auto store = Open();
  for (int i = 0; i < 2000; ++i) store->Append(Record(i), {});
  EXPECT_TRUE(Eventually([&] { return Count(*store) == 100; }));
  EXPECT_TRUE(GetNow(*store, "default", Record(1999).id).ok()) << "the newest stay";
  EXPECT_FALSE(GetNow(*store, "default", Record(0).id).ok());
}

TEST_F(SqliteExecutionStoreTest, DeletesWhatIsTooOld) {
  options_.retention_age = 100s;
  options_.write_interval = 1ms;
  const auto store = Open();
  for (int i = 0; i < 1200; ++i) store->Append(Record(i), {});
  EXPECT_EQ(Count(*store), 1200U);
  clock_.Advance(101s);
  store->Append(Record(5000), {});
  EXPECT_TRUE(Eventually([&] { return Count(*store) == 1; }));
  EXPECT_EQ(store->deleted(), 1200);
}

TEST_F(SqliteExecutionStoreTest, RecordsOfAClockThatWasAheadDoNotKeepOthers) {
  options_.retention_age = 100s;
  options_.write_interval = 1ms;
  const auto store = Open();
  for (int i = 0; i < 150; ++i) {
    ExecutionRecord record = Record(i);
    if (i < 50) record.start += 3600s;
    store->Append(std::move(record), {});
  }
  EXPECT_EQ(Count(*store), 150U);
  clock_.Advance(101s);
  store->Append(Record(5000), {});
  EXPECT_TRUE(Eventually([&] { return Count(*store) == 51; })) << Count(*store);
}

TEST_F(SqliteExecutionStoreTest, ABatchIsFoundByEachDeliveryUntilItIsDeleted) {
  options_.retention_age = 100s;
  options_.write_interval = 1ms;
  const auto store = Open();
  ExecutionRecord batch = Record(1);
  batch.delivery_id = "d-1";
  batch.delivery_ids = {"d-1", "d-2", "d-3"};
  store->Append(batch, {});
  ExecutionRecord single = Record(2);
  single.delivery_id = "d-2";
  store->Append(single, {});
  ExecutionQuery query;
  query.space = "default";
  query.delivery_id = "d-3";
  EXPECT_EQ(IdsOf(*store, query), std::vector<std::string>{batch.id});
  query.delivery_id = "d-2";
  EXPECT_EQ(IdsOf(*store, query), (std::vector<std::string>{single.id, batch.id}));
  EXPECT_EQ(GetNow(*store, "default", batch.id)->delivery_ids, batch.delivery_ids);
  EXPECT_TRUE(GetNow(*store, "default", single.id)->delivery_ids.empty());
  clock_.Advance(101s);
  store->Append(Record(5000), {});
  ASSERT_TRUE(Eventually([&] { return Count(*store) == 1; }));
  store->Stop();
  auto db = sqlite::Connection::Open({.path = options_.path});
  ASSERT_TRUE(db.ok()) << db.status();
  auto left = (*db)->Prepare("SELECT count(*) FROM batch_deliveries");
  ASSERT_TRUE(*left->Step());
  EXPECT_EQ(left->Int(0), 0);
}

TEST_F(SqliteExecutionStoreTest, KeepsAsManyBytesAsItMay) {
  options_.retention_bytes = 2 << 20;
  options_.write_interval = 1ms;
  const auto store = Open();
  constexpr int kRecords = 1'000;
  for (int i = 0; i < kRecords; ++i) {
    ExecutionRecord record = Record(i);
    record.input = RecordedBody{"text/plain", std::string(8'000, 'x'), 8'000, false};
    store->Append(std::move(record), {});
  }
  // 8 MB were written; retention goes on after the last record.
  EXPECT_TRUE(Eventually([&] { return Count(*store) < 300; })) << Count(*store);
  EXPECT_GT(Count(*store), 100U) << "it takes no more than it has to";
  EXPECT_TRUE(GetNow(*store, "default", Record(kRecords - 1).id).ok()) << "the newest stays";
  EXPECT_FALSE(GetNow(*store, "default", Record(0).id).ok());
}

TEST_F(SqliteExecutionStoreTest, TakesAFileOfBeforeBatchesOver) {
  options_.path = folder_.path() + "/executions.db";
  sqlite::Schema before = ExecutionSchema();
  before.migrations.resize(1);
  {
    auto db = sqlite::Connection::OpenAndMigrate({.path = options_.path}, before);
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE((*db)
                    ->Run("INSERT INTO executions (id, space, function, function_version, "
                          "trigger_kind, state, start_micros, duration_micros, attempt, "
                          "delivery_id, log_truncated, instance) "
                          "VALUES ('i-1', 'default', 'f', 1, 1, 1, 5, 5, 1, 'd-1', 0, 'i')")
                    .ok());
  }
  options_.retention_age = std::chrono::hours(1'000'000);
  const auto store = Open();
  ExecutionQuery query;
  query.space = "default";
  query.delivery_id = "d-1";
  EXPECT_EQ(IdsOf(*store, query), std::vector<std::string>{"i-1"});
}

TEST_F(SqliteExecutionStoreTest, AFullQueueDropsBodiesThenWaits) {
  options_.queue_max = 8;
  options_.write_interval = 1ms;
  const auto store = Open();
  std::atomic<int> taken{0};
  for (int i = 0; i < 3000; ++i) {
    ExecutionRecord record = Record(i);
    record.input = RecordedBody{"text/plain", "x", 1, false};
    store->Append(std::move(record), [&] { ++taken; });
  }
  EXPECT_TRUE(Eventually([&] { return taken == 3000; }));
  EXPECT_EQ(Count(*store), 3000U) << "metadata of every call";
  EXPECT_GT(metrics_
                .Counter("penstock_executor_record_bodies_dropped_total",
                         "Execution records that lost bodies and logs because many waited")
                .Value(),
            0U);
  EXPECT_EQ(metrics_
                .Counter("penstock_executor_records_dropped_total",
                         "Execution records lost because they could not be written")
                .Value(),
            0U);
}

TEST_F(SqliteExecutionStoreTest, ManyThreadsAtOnce) {
  const auto store = Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        store->Append(Record(t * 1000 + i), {});
        if (i % 50 == 0) {
          EXPECT_TRUE(GetNow(*store, "default", Record(t * 1000 + i).id).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(*store), 1200U);
}

TEST_F(SqliteExecutionStoreTest, ListsUseTheIndexOfTheirFilter) {
  auto db =
      sqlite::Connection::OpenAndMigrate({.path = folder_.path() + "/plan.db"}, ExecutionSchema());
  ASSERT_TRUE(db.ok());
  for (const char* name :
       {"executions_by_space", "executions_by_function", "executions_by_subscription",
        "executions_by_event", "executions_by_delivery"}) {
    auto statement =
        (*db)->Prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ?");
    ASSERT_TRUE(statement.ok());
    statement->BindAll(name);
    ASSERT_TRUE(*statement->Step());
    EXPECT_EQ(statement->Int(0), 1) << name;
  }
  auto plan = (*db)->Prepare(
      "EXPLAIN QUERY PLAN SELECT id FROM executions WHERE event_id = 'e' AND +space = 's' "
      "ORDER BY start_micros DESC, id DESC LIMIT 5");
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(*plan->Step());
  EXPECT_NE(plan->String(3).find("executions_by_event"), std::string::npos) << plan->String(3);
}

}  // namespace
}  // namespace penstock::executor
