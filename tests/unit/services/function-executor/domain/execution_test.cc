#include "services/function-executor/domain/execution.h"

#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-executor/domain/execution_id.h"
#include "services/function-executor/domain/page_token.h"

namespace penstock::executor {
namespace {

TEST(RecordBodyTest, KeepsTheBeginning) {
  const auto payload = std::make_shared<const std::string>("0123456789");
  const auto whole = RecordBody(payload, "text/plain", 10);
  EXPECT_EQ(whole->bytes, "0123456789");
  EXPECT_FALSE(whole->truncated);
  const auto cut = RecordBody(payload, "text/plain", 4);
  EXPECT_EQ(cut->bytes, "0123");
  EXPECT_EQ(cut->size, 10);
  EXPECT_TRUE(cut->truncated);
  EXPECT_FALSE(RecordBody(std::make_shared<const std::string>(), "", 4));
  EXPECT_TRUE(RecordBody(std::make_shared<const std::string>(), "text/plain", 4));
}

TEST(ExecutionIdsTest, RiseStrictlyEvenWhenTheClockDoesNot) {
  FakeClock clock;
  ExecutionIds ids("0a1b2c3d", clock);
  std::string last;
  for (int i = 0; i < 100; ++i) {
    if (i == 50) clock.JumpWall(Microseconds(-5'000'000));
    const std::string id = ids.Next();
    EXPECT_GT(id, last);
    EXPECT_TRUE(CheckResourceId("id", id).ok()) << id;
    EXPECT_EQ(InstanceOf(id), "0a1b2c3d");
    last = id;
  }
  EXPECT_EQ(InstanceOf("nohyphen"), "");
}

ExecutionRecord Sample() {
  ExecutionRecord record;
  record.id = "i-5";
  record.space = "default";
  record.function = "f";
  record.start = FromUnixMicros(1000);
  record.trigger = TriggerKind::kEvent;
  record.state = ExecutionState::kFailed;
  record.event_id = "e";
  record.subscription = "s";
  record.delivery_id = "d";
  return record;
}

TEST(MatchesTest, EveryFilterCounts) {
  ExecutionRecord record = Sample();
  ExecutionQuery all;
  all.space = "default";
  EXPECT_TRUE(Matches(record, all));
  const auto refuses = [&](const auto& change) {
    ExecutionQuery query = all;
    change(query);
    return !Matches(record, query);
  };
  EXPECT_TRUE(refuses([](auto& q) { q.space = "other"; }));
  EXPECT_TRUE(refuses([](auto& q) { q.function = "g"; }));
  EXPECT_TRUE(refuses([](auto& q) { q.state = ExecutionState::kSucceeded; }));
  EXPECT_TRUE(refuses([](auto& q) { q.trigger = TriggerKind::kCall; }));
  EXPECT_TRUE(refuses([](auto& q) { q.event_id = "x"; }));
  EXPECT_TRUE(refuses([](auto& q) { q.subscription = "x"; }));
  EXPECT_TRUE(refuses([](auto& q) { q.delivery_id = "x"; }));
  record.delivery_ids = {"d", "x"};
  EXPECT_FALSE(refuses([](auto& q) { q.delivery_id = "x"; })) << "of a batch";
  EXPECT_TRUE(refuses([](auto& q) { q.start_from = FromUnixMicros(1001); }));
  EXPECT_TRUE(refuses([](auto& q) { q.start_to = FromUnixMicros(1000); }));
  EXPECT_TRUE(refuses([](auto& q) { q.before = ExecutionPosition{1000, "i-5"}; }));
  EXPECT_FALSE(refuses([](auto& q) { q.before = ExecutionPosition{1000, "i-6"}; }));
  EXPECT_FALSE(refuses([](auto& q) { q.start_from = FromUnixMicros(1000); }));
}

TEST(PageTokenTest, ComesBackAsThePosition) {
  ExecutionQuery query;
  query.space = "default";
  query.function = "f";
  const ExecutionPosition position{1'700'000'000'000'000, "0a1b2c3d-00060a2f"};
  const std::string token = MakePageToken(position, query);
  const auto parsed = ParsePageToken(token, query);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, position);
}

TEST(PageTokenTest, RefusesWhatIsNoneAndOtherFilters) {
  ExecutionQuery query;
  query.space = "default";
  const std::string token = MakePageToken({5, "i-5"}, query);
  for (const std::string& bad : {std::string("x"), std::string("__"), token.substr(1), token + "'",
                                 std::string("00000000_zz_i-5")}) {
    const auto parsed = ParsePageToken(bad, query);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(FieldViolationsOf(parsed.status()).at(0).field, "page_token");
  }
  query.state = ExecutionState::kFailed;
  EXPECT_FALSE(ParsePageToken(token, query).ok());
}

}  // namespace
}  // namespace penstock::executor
