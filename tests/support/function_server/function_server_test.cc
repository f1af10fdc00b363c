// The judge itself is tested: what it lets pass, the fault test would not see.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "tests/support/function_server/ledger.h"
#include "tests/support/function_server/plan.h"

namespace penstock::testing {
namespace {

class LedgerTest : public ::testing::Test {
 protected:
  std::uint64_t Begin(const std::string& delivery_id, const std::string& key = "k", int attempt = 1,
                      std::function<bool()> is_caller_gone = {}) {
    const std::string event_id = "event-" + delivery_id;
    return ledger_.Begin({event_id, delivery_id, key, attempt, 0, std::move(is_caller_gone)},
                         ++now_);
  }
  void End(std::uint64_t call, CallEnd how = CallEnd::kSucceeded) {
    ledger_.End(call, how, ++now_);
  }
  void Call(const std::string& delivery_id, CallEnd how = CallEnd::kSucceeded,
            const std::string& key = "k") {
    End(Begin(delivery_id, key), how);
  }
  bool Counts(const std::string& member, int value) const {
    const std::string counts = ledger_.Counts();
    const std::string wanted = "\"" + member + "\":" + std::to_string(value);
    return counts.find(wanted + ",") != std::string::npos ||
           counts.find(wanted + "}") != std::string::npos;
  }

  Ledger ledger_;
  std::int64_t now_ = 1'000;
};

TEST_F(LedgerTest, InOrderIsRight) {
  for (const char* id : {"l-1", "l-2", "l-5"}) Call(id);
  EXPECT_TRUE(Counts("calls", 3));
  EXPECT_TRUE(Counts("ids", 3));
  EXPECT_TRUE(Counts("deliveries", 3));
  EXPECT_TRUE(Counts("succeeded", 3));
  for (const char* none :
       {"duplicates", "overlaps", "abandoned", "inversions", "passed", "step_backs"}) {
    EXPECT_TRUE(Counts(none, 0)) << none;
  }
  EXPECT_EQ(ledger_.Violations(), "");
  EXPECT_EQ(ledger_.Unsuccessful(), "");
}

TEST_F(LedgerTest, AnEarlierEventThatComesLaterIsAnInversion) {
  Call("l-2");
  Call("l-1");
  EXPECT_TRUE(Counts("inversions", 1));
  EXPECT_EQ(ledger_.Violations(), "inversion lane=l key=k sequence=1 newest=2\n");
}

TEST_F(LedgerTest, KeysAndLanesAreJudgedAlone) {
  const auto running = Begin("l-2", "k");
  Call("l-1", CallEnd::kSucceeded, "other");
  Call("l.replay-1");
  Call("l-3", CallEnd::kSucceeded, "");
  Call("l-0x", CallEnd::kSucceeded, "k");
  EXPECT_TRUE(Counts("inversions", 0));
  EXPECT_TRUE(Counts("overlaps", 0));
  End(running);
}

TEST_F(LedgerTest, TwoCallsOfAKeyAtOnceOverlap) {
  const auto first = Begin("l-1");
  const auto again = Begin("l-1", "k", 2);
  EXPECT_TRUE(Counts("overlaps", 1));
  const auto next = Begin("l-2");
  EXPECT_TRUE(Counts("overlaps", 2));
  EXPECT_TRUE(Counts("passed", 1));
  EXPECT_TRUE(Counts("running", 3));
  End(first);
  End(again);
  End(next);
  EXPECT_TRUE(Counts("running", 0));
}

TEST_F(LedgerTest, ACallWhoseCallerIsGoneOverlapsNothing) {
  bool is_gone = false;
  const auto first = Begin("l-1", "k", 1, [&] { return is_gone; });
  const auto second = Begin("l-1", "k", 2);
  EXPECT_TRUE(Counts("overlaps", 1)) << "the first caller waits still";
  End(second, CallEnd::kFailed);
  // The connection is closed, and the server has not read that yet.
  is_gone = true;
  const auto third = Begin("l-1", "k", 3);
  EXPECT_TRUE(Counts("overlaps", 1));
  EXPECT_TRUE(Counts("abandoned", 1));
  EXPECT_TRUE(Counts("running", 2));
  End(first, CallEnd::kHung);
  const auto next = Begin("l-2");
  EXPECT_TRUE(Counts("overlaps", 2)) << "the third runs, whatever became of the first";
  End(third);
  End(next);
  Call("l-3");
  EXPECT_TRUE(Counts("overlaps", 2));
  EXPECT_TRUE(Counts("abandoned", 1));
  EXPECT_TRUE(Counts("running", 0));
}

TEST_F(LedgerTest, ACallThatComesAfterItsCallerWentOverlapsNothing) {
  const auto second = Begin("l-1", "k", 2);
  const auto first = Begin("l-1", "k", 1, [] { return true; });
  EXPECT_TRUE(Counts("overlaps", 0));
  EXPECT_TRUE(Counts("abandoned", 1));
  Begin("l-2");
  EXPECT_TRUE(Counts("overlaps", 1)) << "the second runs, and has its caller";
  End(first, CallEnd::kGone);
  End(second);
}

TEST_F(LedgerTest, WhoIsPassedBeforeASuccessIsNamed) {
  Call("l-1", CallEnd::kFailed);
  Call("l-1", CallEnd::kHung);
  Call("l-2");
  Call("l-3");
  EXPECT_TRUE(Counts("passed", 1)) << "once, whoever passes";
  EXPECT_EQ(ledger_.Passed(), "l-1 0\n");
  EXPECT_EQ(ledger_.Unsuccessful(), "l-1 2 1 1 0\n");
  // It comes back after all.
  Call("l-1");
  EXPECT_TRUE(Counts("step_backs", 1));
  EXPECT_TRUE(Counts("inversions", 0));
  EXPECT_EQ(ledger_.Passed(), "l-1 1\n");
  EXPECT_EQ(ledger_.Unsuccessful(), "");
}

TEST_F(LedgerTest, ARetryInTimeIsRight) {
  Call("l-1", CallEnd::kFailed);
  Call("l-1", CallEnd::kGone);
  Call("l-1");
  Call("l-2");
  EXPECT_TRUE(Counts("passed", 0));
  EXPECT_TRUE(Counts("duplicates", 0));
  EXPECT_TRUE(Counts("gone", 1));
}

TEST_F(LedgerTest, ARepetitionAfterASuccessIsADuplicate) {
  Call("l-1");
  Call("l-1", CallEnd::kFailed);
  EXPECT_TRUE(Counts("duplicates", 1));
  EXPECT_EQ(ledger_.Unsuccessful(), "");
  Call("l-2");
  EXPECT_TRUE(Counts("passed", 0)) << "it had succeeded";
}

TEST_F(LedgerTest, MissingAreThoseWithoutASuccess) {
  Call("l-1");
  Call("l-2", CallEnd::kFailed);
  EXPECT_EQ(ledger_.Missing("event-l-1\nevent-l-2\n\nevent-l-3"), "event-l-2\nevent-l-3\n");
}

TEST_F(LedgerTest, CallsTellTheirTimes) {
  const auto call = Begin("l-1", "k", 4);
  EXPECT_EQ(ledger_.Calls(0), "l-1 4 k 1001 0 running\n");
  End(call, CallEnd::kFailed);
  Call("l-2", CallEnd::kSucceeded, "");
  EXPECT_EQ(ledger_.Calls(0), "l-1 4 k 1001 1002 failed\nl-2 1 - 1003 1004 succeeded\n");
  EXPECT_EQ(ledger_.Calls(1), "l-2 1 - 1003 1004 succeeded\n");
  EXPECT_EQ(ledger_.Calls(2), "");
}

TEST_F(LedgerTest, ACallOfBeforeAResetEndsNothing) {
  const auto call = Begin("l-1");
  ledger_.Reset();
  End(call);
  EXPECT_TRUE(Counts("calls", 0));
  EXPECT_TRUE(Counts("succeeded", 0));
}

TEST(PlanTest, SharesComeOutAndRepeat) {
  Plan plan;
  plan.fail = 0.1;
  plan.hang = 0.01;
  int failed = 0;
  int hung = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string id = "lane-" + std::to_string(i);
    const Ending ending = Draw(plan, id, 1);
    EXPECT_EQ(Draw(plan, id, 1), ending);
    if (ending == Ending::kFail) ++failed;
    if (ending == Ending::kHang) ++hung;
  }
  EXPECT_NEAR(failed, 10'000, 500);
  EXPECT_NEAR(hung, 1'000, 150);
}

TEST(PlanTest, AnotherAttemptIsDrawnAnewAndPoisonIsNot) {
  Plan plan;
  plan.fail = 0.5;
  int changed = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string id = "lane-" + std::to_string(i);
    if (Draw(plan, id, 1) != Draw(plan, id, 2)) ++changed;
  }
  EXPECT_NEAR(changed, 500, 100);
  plan.fail = 0;
  plan.poison = 0.2;
  int poisoned = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string id = "lane-" + std::to_string(i);
    const Ending ending = Draw(plan, id, 1);
    if (ending == Ending::kFail) ++poisoned;
    for (int attempt = 2; attempt < 6; ++attempt) EXPECT_EQ(Draw(plan, id, attempt), ending);
  }
  EXPECT_NEAR(poisoned, 200, 60);
}

TEST(PlanTest, ReadsItsParametersAndRefusesOthers) {
  const auto plan = ParsePlan({{"path", "/f"},
                               {"fail", "0.25"},
                               {"hang", "0.5"},
                               {"poison", "0.125"},
                               {"status", "500"},
                               {"delay_ms", "3"},
                               {"hang_ms", "700"},
                               {"seed", "9"}});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->fail, 0.25);
  EXPECT_EQ(plan->hang, 0.5);
  EXPECT_EQ(plan->poison, 0.125);
  EXPECT_EQ(plan->status, 500);
  EXPECT_EQ(plan->delay.count(), 3);
  EXPECT_EQ(plan->hang_max.count(), 700);
  EXPECT_EQ(plan->seed, 9U);
  EXPECT_FALSE(ParsePlan({{"faill", "1"}}).has_value());
  EXPECT_FALSE(ParsePlan({{"fail", "x"}}).has_value());
  EXPECT_FALSE(ParsePlan({{"fail", ""}}).has_value());
  EXPECT_FALSE(ParsePlan({{"fail", "-1"}}).has_value());
}

}  // namespace
}  // namespace penstock::testing
