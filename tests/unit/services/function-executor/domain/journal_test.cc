#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "services/function-executor/domain/execution_journal.h"
#include "tests/unit/services/function-executor/fake_execution_store.h"

namespace penstock::executor {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  void End(const std::string& function, bool failed = false) {
    ExecutionRecord record;
    record.id = "i-" + std::to_string(store_.records.size());
    record.space = "default";
    record.function = function;
    Outcome outcome;
    outcome.payload = std::make_shared<const std::string>("out");
    outcome.logs.out = {"line"};
    if (failed) outcome.error = FunctionError{};
    journal_.End(std::move(record), std::make_shared<const std::string>("in"), "text/plain",
                 outcome, false, {});
  }

  FakeClock clock_;
  FakeExecutionStore store_;
  ExecutionJournal journal_{store_, clock_, {.body_bytes_max = 2, .bodies_per_second = 3}};
};

TEST_F(JournalTest, RecordsHowItEnded) {
  End("f");
  End("f", true);
  ASSERT_EQ(store_.records.size(), 2U);
  EXPECT_EQ(store_.records[0].state, ExecutionState::kSucceeded);
  EXPECT_EQ(store_.records[0].input->bytes, "in");
  EXPECT_EQ(store_.records[0].output->bytes, "ou");
  EXPECT_TRUE(store_.records[0].output->truncated);
  EXPECT_EQ(store_.records[0].logs.out.size(), 1U);
  EXPECT_EQ(store_.records[1].state, ExecutionState::kFailed);
  EXPECT_TRUE(store_.records[1].error);
}

TEST_F(JournalTest, StoresWhatItIsToldToAndTellsFollowersOfAll) {
  Outcome failed;
  failed.payload = std::make_shared<const std::string>();
  Outcome succeeded = failed;
  failed.error = FunctionError{};
  for (const auto& [recording, stored] :
       {std::pair{Recording::kAll, 2U}, {Recording::kFailures, 1U}, {Recording::kNone, 0U}}) {
    FakeExecutionStore store;
    ExecutionJournal journal(store, clock_, {.recording = recording});
    std::size_t told = 0;
    const auto following = journal.Follow("", "", [&](const auto&) { ++told; });
    std::size_t taken = 0;
    for (const Outcome& outcome : {succeeded, failed}) {
      journal.End({}, outcome.payload, "", outcome, false, [&] { ++taken; });
    }
    EXPECT_EQ(store.records.size(), stored);
    EXPECT_EQ(taken, 2U);
    EXPECT_EQ(told, 2U);
    journal.End({}, succeeded.payload, "", succeeded, true, [&] { ++taken; });
    EXPECT_EQ(store.records.size(), stored + 1) << "somebody will ask for it";
  }
}

TEST_F(JournalTest, KeepsTheBeginningOfAHugeError) {
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>();
  outcome.error = FunctionError{ErrorCategory::kFunction, "E", std::string(1 << 20, 'x'),
                                std::vector<std::string>(1000, std::string(5000, 'y'))};
  journal_.End({}, outcome.payload, "", outcome, false, {});
  const FunctionError& error = *store_.records.at(0).error;
  EXPECT_EQ(error.message.size(), 1024U);
  EXPECT_EQ(error.stacktrace.size(), 64U);
  EXPECT_EQ(error.stacktrace[0].size(), 1024U);
}

TEST_F(JournalTest, ABusyFunctionKeepsBodiesOfFailuresAndOfSomeSuccesses) {
  for (int i = 0; i < 5; ++i) End("f");
  End("f", true);
  End("g");
  EXPECT_TRUE(store_.records[2].input);
  EXPECT_FALSE(store_.records[3].input);
  EXPECT_FALSE(store_.records[4].output);
  EXPECT_TRUE(store_.records[4].logs.out.empty());
  EXPECT_TRUE(store_.records[5].input) << "a failure";
  EXPECT_TRUE(store_.records[6].input) << "another function";
  clock_.Advance(Microseconds(1'000'000));
  End("f");
  EXPECT_TRUE(store_.records[7].input) << "the next second";
}

TEST_F(JournalTest, FollowersGetTheirsUntilTheyGo) {
  std::vector<std::string> all;
  std::vector<std::string> only_g;
  auto following =
      journal_.Follow("default", "", [&](const auto& record) { all.push_back(record->function); });
  auto following_g = journal_.Follow(
      "default", "g", [&](const auto& record) { only_g.push_back(record->function); });
  auto elsewhere = journal_.Follow("other", "", [&](const auto&) { FAIL() << "another space"; });
  End("f");
  End("g");
  following.reset();
  End("g");
  EXPECT_EQ(all, (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(only_g, (std::vector<std::string>{"g", "g"}));
}

}  // namespace
}  // namespace penstock::executor
