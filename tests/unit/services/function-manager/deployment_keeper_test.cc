#include "services/function-manager/domain/deployment_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

class DeploymentKeeperTest : public testing::Test {
 protected:
  DeploymentKeeperTest() {
    function_.state = FunctionState::kDeploying;
    EXPECT_TRUE(Write(store_, [&](FunctionWriter& writer) { return writer.Put(function_); }).ok());
  }

  absl::StatusOr<FunctionState> Report(const DeploymentReport& report) {
    return Await<absl::StatusOr<FunctionState>>(
        [&](auto done) { keeper_.Report(report, std::move(done)); });
  }
  absl::StatusOr<FunctionState> Report(FunctionState state, const std::string& reason = "") {
    return Report({kF, function_.uid, 1, state, reason});
  }
  Function Stored() {
    std::optional<Function> found;
    EXPECT_TRUE(Read(store_, [&](FunctionReader& reader) -> absl::Status {
                  ASSIGN_OR_RETURN(found, reader.Get({"default", "f"}));
                  return absl::OkStatus();
                }).ok());
    return found.value_or(Function());
  }

  static constexpr char kF[] = "spaces/default/functions/f";
  FakeFunctionStore store_;
  Function function_ = NamedFunction("f", PythonSpec());
  DeploymentKeeper keeper_{store_};
};

TEST_F(DeploymentKeeperTest, IsFailedUntilOneExecutorStartsIt) {
  EXPECT_EQ(*Report(FunctionState::kFailed, "no module"), FunctionState::kFailed);
  EXPECT_EQ(Stored().state, FunctionState::kFailed);
  EXPECT_EQ(Stored().state_reason, "no module");
  EXPECT_EQ(*Report(FunctionState::kReady, "left over"), FunctionState::kReady);
  EXPECT_EQ(Stored().state, FunctionState::kReady);
  EXPECT_EQ(Stored().state_reason, "");
  // Another executor has no interpreter for it.
  EXPECT_EQ(*Report(FunctionState::kFailed, "no python3"), FunctionState::kReady);
  EXPECT_EQ(Stored().state, FunctionState::kReady);
}

TEST_F(DeploymentKeeperTest, CutsALongReasonBetweenCharacters) {
  std::string reason(kStateReasonBytesMax - 1, 'x');
  reason += "\xC3\xA9 and more";
  ASSERT_TRUE(Report(FunctionState::kFailed, reason).ok());
  EXPECT_EQ(Stored().state_reason, std::string(kStateReasonBytesMax - 1, 'x'));
}

TEST_F(DeploymentKeeperTest, RefusesWhatIsNotThereOrIsNoReport) {
  const auto code = [&](DeploymentReport report) { return Report(std::move(report)).status(); };
  const FunctionState ready = FunctionState::kReady;
  EXPECT_TRUE(absl::IsNotFound(code({"spaces/default/functions/g", "u", 1, ready, ""})));
  EXPECT_TRUE(absl::IsNotFound(code({kF, "of an earlier one", 1, ready, ""})));
  EXPECT_TRUE(absl::IsNotFound(code({kF, function_.uid, 2, ready, ""})));
  const auto field = [&](DeploymentReport report) {
    return std::string(code(std::move(report)).message());
  };
  EXPECT_THAT(field({"f", function_.uid, 1, ready, ""}), HasSubstr("function"));
  EXPECT_THAT(field({kF, "", 1, ready, ""}), HasSubstr("uid"));
  EXPECT_THAT(field({kF, function_.uid, 0, ready, ""}), HasSubstr("version"));
  EXPECT_THAT(field({kF, function_.uid, 1, FunctionState::kDeploying, ""}), HasSubstr("state"));
  EXPECT_EQ(Stored().state, FunctionState::kDeploying);
}

}  // namespace
}  // namespace penstock::functions
