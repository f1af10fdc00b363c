// Start, stop, restart, and what operators see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

TEST_P(FunctionManagerTest, KeepsFunctionsVersionsAndHoldsOverARestart) {
  const auto made = Create("f", Python());
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(Acquire("f", "s1").ok());
  pb::UpdateFunctionRequest update;
  *update.mutable_function() = Http();
  update.mutable_function()->set_name(made->name());
  const auto changed = Update(update);
  ASSERT_TRUE(changed.ok());
  Restart();
  EXPECT_EQ(Get("f")->SerializeAsString(), changed->SerializeAsString());
  pb::ListFunctionVersionsRequest request;
  request.set_parent(made->name());
  EXPECT_EQ(Call(*manager_, &pb::FunctionManagerService::Stub::ListFunctionVersions, request)
                ->versions_size(),
            2);
  EXPECT_EQ(Delete("f").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(FunctionManagerTest, IsReadyWhileItServes) {
  EXPECT_TRUE(readiness_.Evaluate().ready);
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(2)).ok());
  EXPECT_FALSE(readiness_.Evaluate().ready);
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(2)).ok());
}

TEST_P(FunctionManagerTest, RefusesAFolderThatIsInUse) {
  metrics::Registry metrics;
  lifecycle::Readiness readiness;
  Config config = TestConfig();
  config.grpc_listen = "127.0.0.1:0";
  auto second = App::Create(config, {SystemClock(), metrics, readiness});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->Start().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(readiness.Evaluate().ready);
  EXPECT_TRUE((*second)->Stop(std::chrono::seconds(1)).ok());
}

TEST_P(FunctionManagerTest, CountsWhatItDoes) {
  ASSERT_TRUE(Create("f").ok());
  ASSERT_FALSE(Create("f").ok());
  ASSERT_FALSE(Get("none").ok());
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr("penstock_functions_functions 1"));
  EXPECT_THAT(text, HasSubstr("penstock_functions_watch_streams 0"));
  EXPECT_THAT(text, HasSubstr("rpc=\"CreateFunction\",code=\"OK\"} 1"));
  EXPECT_THAT(text, HasSubstr("rpc=\"CreateFunction\",code=\"ALREADY_EXISTS\"} 1"));
  EXPECT_THAT(text, HasSubstr("rpc=\"GetFunction\",code=\"NOT_FOUND\"} 1"));
  EXPECT_THAT(text, HasSubstr("penstock_functions_store_duration_seconds_count"));
}

}  // namespace
}  // namespace penstock::functions
