// What every ExecutionStore promises.
#include "services/function-executor/ports/execution_store.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "services/function-executor/storage/sqlite_execution_store.h"
#include "tests/unit/services/function-executor/fake_execution_store.h"
#include "tests/unit/services/function-executor/store_fixture.h"

namespace penstock::executor {
namespace {

using Ids = std::vector<std::string>;

struct FakeMaker {
  std::unique_ptr<ExecutionStore> Make() { return std::make_unique<FakeExecutionStore>(); }
};

struct SqliteMaker {
  std::unique_ptr<ExecutionStore> Make() {
    // Years: the records of these tests are old.
    auto store = SqliteExecutionStore::Open(
        {.path = folder.path() + "/e.db", .retention_age = Microseconds(1LL << 60)}, SystemClock(),
        metrics);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  TempFolder folder;
  metrics::Registry metrics;
};

template <typename Maker>
class ExecutionStoreTest : public ::testing::Test {
 protected:
  void Append(ExecutionRecord record) { store_->Append(std::move(record), {}); }

  Maker maker_;
  std::unique_ptr<ExecutionStore> store_ = maker_.Make();
};

using Makers = ::testing::Types<FakeMaker, SqliteMaker>;
TYPED_TEST_SUITE(ExecutionStoreTest, Makers);

TYPED_TEST(ExecutionStoreTest, GivesBackAllOfARecord) {
  ExecutionRecord record = MakeRecord(1);
  record.function_version = 7;
  record.trigger = TriggerKind::kEvent;
  record.state = ExecutionState::kFailed;
  record.duration = Microseconds(1234);
  record.attempt = 3;
  record.delivery_id = "d";
  record.subscription = "s";
  record.event_id = "e";
  record.event_type = "t";
  record.event_source = "/s";
  record.caller = "me";
  record.input = RecordedBody{"application/json", "{}", 2, false};
  record.output = RecordedBody{"x/y", std::string("\0\xff", 2), 9, true};
  record.error = FunctionError{ErrorCategory::kInput, "ValueError", "bad", {"line 1", "line 2"}};
  record.logs = {{"a", ""}, {"b"}, true};
  record.traceparent = "00-1-2-01";
  record.steps = {{"timeout", StepPhase::kBefore, Microseconds(0), "passed", true},
                  {"retry", StepPhase::kAfter, Microseconds(1'234'567), "retried 2", false},
                  {"grpc", StepPhase::kAfter, Microseconds(5), "", false}};
  record.queue = Microseconds(1);
  record.middleware = Microseconds(2);
  record.driver = Microseconds(3);
  this->Append(record);
  const auto found = GetNow(*this->store_, "default", record.id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->function_version, 7);
  EXPECT_EQ(found->trigger, TriggerKind::kEvent);
  EXPECT_EQ(found->state, ExecutionState::kFailed);
  EXPECT_EQ(found->start, record.start);
  EXPECT_EQ(found->duration, record.duration);
  EXPECT_EQ(found->queue, record.queue);
  EXPECT_EQ(found->middleware, record.middleware);
  EXPECT_EQ(found->driver, record.driver);
  EXPECT_EQ(found->attempt, 3);
  EXPECT_EQ(found->delivery_id, "d");
  EXPECT_EQ(found->subscription, "s");
  EXPECT_EQ(found->event_id, "e");
  EXPECT_EQ(found->event_type, "t");
  EXPECT_EQ(found->event_source, "/s");
  EXPECT_EQ(found->caller, "me");
  EXPECT_EQ(found->input->content_type, "application/json");
  EXPECT_FALSE(found->input->truncated);
  EXPECT_EQ(found->output->bytes, record.output->bytes);
  EXPECT_EQ(found->output->size, 9);
  EXPECT_TRUE(found->output->truncated);
  EXPECT_EQ(found->error->category, ErrorCategory::kInput);
  EXPECT_EQ(found->error->stacktrace, record.error->stacktrace);
  EXPECT_EQ(found->logs.out, record.logs.out);
  EXPECT_EQ(found->logs.err, record.logs.err);
  EXPECT_TRUE(found->logs.truncated);
  EXPECT_EQ(found->traceparent, record.traceparent);
  EXPECT_EQ(found->steps, record.steps);
}

TYPED_TEST(ExecutionStoreTest, WhatIsEmptyStaysEmpty) {
  this->Append(MakeRecord(1));
  const auto found = GetNow(*this->store_, "default", MakeRecord(1).id);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->input);
  EXPECT_FALSE(found->error);
  EXPECT_TRUE(found->logs.out.empty());
  EXPECT_TRUE(found->steps.empty());
  EXPECT_EQ(found->event_id, "");
}

TYPED_TEST(ExecutionStoreTest, FindsOnlyInTheSpace) {
  this->Append(MakeRecord(1));
  EXPECT_EQ(GetNow(*this->store_, "other", MakeRecord(1).id).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(GetNow(*this->store_, "default", "i-none").status().code(),
            absl::StatusCode::kNotFound);
}

TYPED_TEST(ExecutionStoreTest, ListsNewestFirstByPages) {
  for (const int number : {3, 1, 5, 2, 4}) this->Append(MakeRecord(number));
  ExecutionQuery query;
  query.space = "default";
  query.limit = 2;
  EXPECT_EQ(IdsOf(*this->store_, query), (Ids{"i-100005", "i-100004"}));
  query.before = PositionOf(MakeRecord(4));
  EXPECT_EQ(IdsOf(*this->store_, query), (Ids{"i-100003", "i-100002"}));
  query.before = PositionOf(MakeRecord(2));
  EXPECT_EQ(IdsOf(*this->store_, query), (Ids{"i-100001"}));
}

TYPED_TEST(ExecutionStoreTest, OrdersByIdWhereTheStartIsTheSame) {
  for (const int number : {2, 1, 3}) {
    ExecutionRecord record = MakeRecord(number);
    record.start = FromUnixMicros(5);
    this->Append(record);
  }
  ExecutionQuery query;
  query.space = "default";
  query.limit = 1;
  EXPECT_EQ(IdsOf(*this->store_, query), Ids{"i-100003"});
  query.before = ExecutionPosition{5, "i-100003"};
  query.limit = 5;
  EXPECT_EQ(IdsOf(*this->store_, query), (Ids{"i-100002", "i-100001"}));
}

TYPED_TEST(ExecutionStoreTest, FiltersTogether) {
  ExecutionRecord record = MakeRecord(1);
  record.trigger = TriggerKind::kEvent;
  record.state = ExecutionState::kFailed;
  record.event_id = "e1";
  record.subscription = "s1";
  record.delivery_id = "d1";
  this->Append(record);
  record = MakeRecord(2);
  record.function = "g";
  record.event_id = "e1";
  this->Append(record);
  record = MakeRecord(3);
  record.space = "other";
  record.event_id = "e1";
  this->Append(record);

  const auto ids = [&](const auto& change) {
    ExecutionQuery query;
    query.space = "default";
    change(query);
    return IdsOf(*this->store_, query);
  };
  const Ids both = {"i-100002", "i-100001"};
  const Ids first = {"i-100001"};
  const Ids second = {"i-100002"};
  EXPECT_EQ(ids([](auto&) {}), both);
  EXPECT_EQ(ids([](auto& q) { q.event_id = "e1"; }), both);
  EXPECT_EQ(ids([](auto& q) { q.function = "g"; }), second);
  EXPECT_EQ(ids([](auto& q) { q.event_id = "e1", q.function = "f"; }), first);
  EXPECT_EQ(ids([](auto& q) { q.subscription = "s1"; }), first);
  EXPECT_EQ(ids([](auto& q) { q.delivery_id = "d1"; }), first);
  EXPECT_EQ(ids([](auto& q) { q.delivery_id = "d1", q.subscription = "other"; }), Ids{});
  EXPECT_EQ(ids([](auto& q) { q.state = ExecutionState::kFailed; }), first);
  EXPECT_EQ(ids([](auto& q) { q.trigger = TriggerKind::kCall; }), second);
  EXPECT_EQ(ids([](auto& q) { q.start_from = MakeRecord(2).start; }), second);
  EXPECT_EQ(ids([](auto& q) { q.start_to = MakeRecord(2).start; }), first);
  EXPECT_EQ(ids([](auto& q) { q.event_id = "'; DROP TABLE executions; --"; }), Ids{});
}

TYPED_TEST(ExecutionStoreTest, TakenRunsOnce) {
  int taken = 0;
  this->store_->Append(MakeRecord(1), [&] { ++taken; });
  EXPECT_EQ(taken, 1);
}

}  // namespace
}  // namespace penstock::executor
