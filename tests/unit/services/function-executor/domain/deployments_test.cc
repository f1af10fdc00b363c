#include "services/function-executor/domain/deployments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/services/function-executor/fake_timers.h"

namespace penstock::executor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

FunctionUpdate Unproven(const std::string& id, std::int64_t version = 1) {
  auto spec = std::make_shared<FunctionSpec>();
  spec->space = "default";
  spec->id = id;
  spec->uid = "uid-" + id;
  spec->version = version;
  spec->target = ProcessTarget{};
  FunctionUpdate update{"default", id, spec->uid, version, spec};
  update.is_unproven = true;
  for (std::int64_t kept = 1; kept <= version; ++kept) update.kept.push_back(kept);
  return update;
}

class DeploymentsTest : public testing::Test {
 protected:
  using Started = std::function<void(StartOutcome)>;
  using Reported = std::function<void(absl::StatusOr<bool>)>;

  static std::string Named(const std::string& id, std::int64_t version) {
    return id + "@" + std::to_string(version);
  }
  // Ends the start that has run the longest.
  void End(std::optional<FunctionError> error = {}, Logs logs = {}) {
    const Started done = std::move(starts_.front().second);
    starts_.erase(starts_.begin());
    done({std::move(error), std::move(logs)});
  }
  void Fail() { End(FunctionError{.type = "ImportError", .message = "no module"}); }
  // Answers the report that has waited the longest.
  void Answer(absl::StatusOr<bool> is_ready) {
    const Reported done = std::move(reports_.front().second);
    reports_.erase(reports_.begin());
    done(std::move(is_ready));
  }
  std::vector<std::string> Starting() const {
    std::vector<std::string> names;
    for (const auto& [name, done] : starts_) names.push_back(name);
    return names;
  }

  std::vector<std::pair<std::string, Started>> starts_;
  std::vector<std::pair<DeploymentReport, Reported>> reports_;
  FakeTimers timers_;
  Deployments deployments_{{
      .start =
          [this](std::shared_ptr<const FunctionSpec> spec, Started done) {
            starts_.emplace_back(Named(spec->id, spec->version), std::move(done));
          },
      .report = [this](
                    DeploymentReport report,
                    Reported done) { reports_.emplace_back(std::move(report), std::move(done)); },
      .timers = &timers_,
  }};
};

TEST_F(DeploymentsTest, StartsWhatNoExecutorHasStarted) {
  FunctionUpdate ready = Unproven("ready");
  ready.is_unproven = false;
  FunctionUpdate http = Unproven("http");
  auto spec = std::make_shared<FunctionSpec>(*http.spec);
  spec->target = HttpTarget{};
  http.spec = spec;
  deployments_.Apply({ready, http, Unproven("f")}, true);
  EXPECT_THAT(Starting(), ElementsAre("f@1"));
  End();
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].first.id, "f");
  EXPECT_EQ(reports_[0].first.uid, "uid-f");
  EXPECT_TRUE(reports_[0].first.is_ready);
  EXPECT_EQ(reports_[0].first.reason, "");
  Answer(true);
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(DeploymentsTest, TriesAgainLaterAndLaterUntilItStarts) {
  deployments_.Apply({Unproven("f")}, false);
  Logs logs;
  for (int i = 1; i <= 7; ++i) logs.err.push_back("line " + std::to_string(i));
  End(FunctionError{.type = "ImportError", .message = "no module"}, logs);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_FALSE(reports_[0].first.is_ready);
  EXPECT_EQ(reports_[0].first.reason,
            "ImportError: no module\nline 3\nline 4\nline 5\nline 6\nline 7");
  Answer(false);
  Microseconds before{0};
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(timers_.delays().size(), 1u);
    EXPECT_GE(timers_.delays()[0], before);
    before = timers_.delays()[0];
    timers_.FireAll();
    Fail();
    Answer(false);
  }
  EXPECT_EQ(timers_.delays()[0], std::chrono::minutes(5));
  timers_.FireAll();
  End();
  EXPECT_TRUE(reports_[0].first.is_ready);
  Answer(true);
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(DeploymentsTest, LeavesItWhenAnotherExecutorHasStartedIt) {
  deployments_.Apply({Unproven("f")}, false);
  Fail();
  Answer(true);
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(DeploymentsTest, ReportsAgainWhatTheManagerDidNotHear) {
  deployments_.Apply({Unproven("f")}, false);
  End();
  Answer(absl::UnavailableError("it restarts"));
  EXPECT_THAT(timers_.delays(), ElementsAre(std::chrono::seconds(1)));
  timers_.FireAll();
  EXPECT_THAT(Starting(), ElementsAre("f@1"));
  End();
  Answer(absl::NotFoundError("it was deleted"));
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(DeploymentsTest, ForgetsWhatIsGone) {
  deployments_.Apply({Unproven("f"), Unproven("g"), Unproven("h")}, true);
  for (int i = 0; i < 3; ++i) Fail();
  for (int i = 0; i < 3; ++i) Answer(false);
  EXPECT_EQ(timers_.delays().size(), 3u);
  FunctionUpdate deleted{"default", "f", "uid-f", 1, nullptr};
  deployments_.Apply({deleted}, false);
  EXPECT_EQ(timers_.delays().size(), 2u);
  // The second version alone is kept.
  FunctionUpdate next = Unproven("g", 2);
  next.kept = {2};
  deployments_.Apply({next}, false);
  EXPECT_EQ(timers_.delays().size(), 1u);
  EXPECT_THAT(Starting(), ElementsAre("g@2"));
  deployments_.Apply({next}, true);
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(DeploymentsTest, AnOlderVersionThatIsKeptIsStartedToo) {
  FunctionUpdate older = Unproven("f", 1);
  older.is_older_version = true;
  older.kept.clear();
  deployments_.Apply({older, Unproven("f", 2)}, true);
  EXPECT_THAT(Starting(), UnorderedElementsAre("f@1", "f@2"));
  // It is announced once, and a change of the function says that it is kept.
  deployments_.Apply({Unproven("f", 3)}, false);
  EXPECT_THAT(Starting(), UnorderedElementsAre("f@1", "f@2", "f@3"));
}

TEST_F(DeploymentsTest, WhatIsNotTheFunctionsFaultIsReportedWhenItComesTwice) {
  deployments_.Apply({Unproven("f")}, false);
  const FunctionError away{.category = ErrorCategory::kSystem, .type = "StartFailed"};
  End(away);
  EXPECT_THAT(reports_, IsEmpty());
  EXPECT_EQ(timers_.delays().size(), 1u);
  timers_.FireAll();
  End(away);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_FALSE(reports_[0].first.is_ready);
}

TEST_F(DeploymentsTest, RestsWhileNoCallReachesAVersion) {
  deployments_.Apply({Unproven("f")}, false);
  FunctionUpdate next = Unproven("f", 2);
  deployments_.Apply({next}, false);
  ASSERT_THAT(Starting(), ElementsAre("f@1", "f@2"));
  Fail();
  End();
  Answer(false);
  Answer(true);
  EXPECT_THAT(timers_.delays(), IsEmpty());
  next.is_unproven = false;
  next.aliases = {{"old", 1}};
  deployments_.Apply({next}, false);
  EXPECT_THAT(Starting(), ElementsAre("f@1"));
  Fail();
  Answer(false);
  EXPECT_EQ(timers_.delays().size(), 1u);
}

TEST_F(DeploymentsTest, WhatIsDeployedComesBeforeWhatASnapshotBrought) {
  std::vector<FunctionUpdate> updates;
  for (int i = 0; i < 10; ++i) updates.push_back(Unproven("f" + std::to_string(i)));
  deployments_.Apply(updates, true);
  deployments_.Apply({Unproven("new")}, false);
  End();
  Answer(true);
  EXPECT_EQ(Starting().back(), "new@1");
}

TEST_F(DeploymentsTest, StartsAFewAtATime) {
  std::vector<FunctionUpdate> updates;
  for (int i = 0; i < 10; ++i) updates.push_back(Unproven("f" + std::to_string(i)));
  deployments_.Apply(updates, true);
  EXPECT_EQ(starts_.size(), 4u);
  for (int i = 0; i < 10; ++i) {
    ASSERT_FALSE(starts_.empty());
    End();
    Answer(true);
  }
  EXPECT_TRUE(starts_.empty());
}

TEST_F(DeploymentsTest, StartsNothingAfterStop) {
  deployments_.Apply({Unproven("f"), Unproven("g")}, true);
  Fail();
  Answer(false);
  deployments_.Stop();
  timers_.FireAll();
  End();
  EXPECT_TRUE(starts_.empty());
  EXPECT_TRUE(reports_.empty());
  deployments_.Apply({Unproven("h")}, false);
  EXPECT_TRUE(starts_.empty());
}

}  // namespace
}  // namespace penstock::executor
