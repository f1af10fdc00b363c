#include "services/function-manager/domain/program_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"

namespace penstock::functions {
namespace {

using ::testing::ElementsAre;

class ProgramChecksTest : public ::testing::Test {
 protected:
  absl::Status Check(const std::string& steps) {
    std::optional<absl::Status> result;
    checks_.Check("function.middleware", steps, [&](const absl::Status& status) {
      EXPECT_FALSE(result.has_value());
      result = status;
    });
    return result.value_or(absl::InternalError("it did not end"));
  }

  bool has_room_ = true;
  int posted_ = 0;
  std::vector<std::string> compiled_;
  ProgramChecks checks_{[this](std::string_view field, std::string_view program) {
                          compiled_.push_back(std::string(field) + "=" + std::string(program));
                          if (program != "wrong") return absl::OkStatus();
                          return FieldError(field, "does not compile");
                        },
                        [this](std::function<void()> work) {
                          ++posted_;
                          if (has_room_) work();
                          return has_room_;
                        }};
};

TEST_F(ProgramChecksTest, CompilesEachProgram) {
  const absl::Status status = Check(
      R"([{"timeout":{}},{"transform":{"before":".a","after":".b"}},{"transform":{"after":".c"}}])");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(compiled_, ElementsAre("function.middleware[1].transform.before=.a",
                                     "function.middleware[1].transform.after=.b",
                                     "function.middleware[2].transform.after=.c"));
}

TEST_F(ProgramChecksTest, NamesTheProgramThatIsWrong) {
  const absl::Status status = Check(R"([{"transform":{"before":"wrong","after":".b"}}])");
  EXPECT_EQ(status, FieldError("function.middleware[0].transform.before", "does not compile"));
  EXPECT_EQ(compiled_.size(), 1U);
}

TEST_F(ProgramChecksTest, GoesOnAtOnceWithoutPrograms) {
  for (const char* steps : {"", "[]", R"([{"log":{}}])", "no JSON", R"([{"transform":{}}])"}) {
    EXPECT_TRUE(Check(steps).ok()) << steps;
  }
  EXPECT_EQ(posted_, 0);
}

TEST_F(ProgramChecksTest, RefusesWhatThereIsNoRoomFor) {
  has_room_ = false;
  const absl::Status status = Check(R"([{"transform":{"before":"."}}])");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(RetryAfterOf(status), absl::ZeroDuration());
}

}  // namespace
}  // namespace penstock::functions
