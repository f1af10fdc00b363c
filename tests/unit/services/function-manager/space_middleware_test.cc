#include "services/function-manager/domain/space_middleware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/space_rule.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

using testing::HasSubstr;

constexpr char kName[] = "spaces/default/middleware";
constexpr char kSteps[] = R"([{"timeout":{"timeout":"1s"}}])";

class SpaceMiddlewareTest : public testing::Test {
 protected:
  absl::StatusOr<SpaceMiddleware> Get(const std::string& name = kName) {
    return Await<absl::StatusOr<SpaceMiddleware>>(
        [&](auto done) { catalog_.Get(name, std::move(done)); });
  }
  absl::StatusOr<SpaceMiddlewareMutation> Update(const std::string& steps,
                                                 const std::string& etag = "",
                                                 const std::string& name = kName) {
    return Await<absl::StatusOr<SpaceMiddlewareMutation>>(
        [&](auto done) { catalog_.Update(name, etag, steps, std::move(done)); });
  }
  void Put(Function function) {
    ASSERT_TRUE(Write(store_, [&](FunctionWriter& writer) { return writer.Put(function); }).ok());
  }

  FakeFunctionStore store_;
  FakeClock clock_;
  SpaceRule spaces_{{"default", "other"}};
  SpaceMiddlewareCatalog catalog_{store_, clock_, spaces_};
};

TEST_F(SpaceMiddlewareTest, IsEmptyUntilItIsSet) {
  const auto empty = Get();
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE(empty->steps.empty());
  EXPECT_FALSE(empty->Etag().empty());
  const auto set = Update(kSteps, empty->Etag());
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->revision, 0) << "there is no function yet";
  EXPECT_EQ(*Get(), set->middleware);
  EXPECT_EQ(Get()->steps, kSteps);
  EXPECT_EQ(Get()->update_time, clock_.Wall());
  EXPECT_NE(Get()->Etag(), empty->Etag());
  EXPECT_TRUE(Get("spaces/other/middleware")->steps.empty());
}

TEST_F(SpaceMiddlewareTest, AnnouncesTheFunctionsOfTheSpaceAgain) {
  Put(NamedFunction("a"));
  Put(NamedFunction("b"));
  Put(NamedFunction("c", NoopSpec(), "other"));
  const auto set = Update(kSteps);
  ASSERT_TRUE(set.ok());
  EXPECT_GT(set->revision, 0);
  ChangePage page;
  ASSERT_TRUE(Read(store_, [&](FunctionReader& reader) -> absl::Status {
                ASSIGN_OR_RETURN(page, reader.Changes({.after = set->revision - 2}));
                return absl::OkStatus();
              }).ok());
  ASSERT_EQ(page.changes.size(), 2U);
  for (const Change& change : page.changes) EXPECT_EQ(change.space_middleware, kSteps);
  const auto same = Update(kSteps);
  EXPECT_EQ(same->revision, 0) << "nothing changed";
}

TEST_F(SpaceMiddlewareTest, RefusesAStaleEtag) {
  const std::string stale = Get()->Etag();
  ASSERT_TRUE(Update(kSteps).ok());
  const auto refused = Update("", stale);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(refused.status()), kReasonEtagMismatch);
  EXPECT_TRUE(Update("", Get()->Etag()).ok());
  EXPECT_TRUE(Get()->steps.empty());
}

TEST_F(SpaceMiddlewareTest, NamesTheFieldThatIsWrong) {
  const auto bad = Update(R"([{"retry":{"maxAttempts":1}}])");
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()),
              HasSubstr("space_middleware.middleware[0].retry.max_attempts: is 1"));
  EXPECT_THAT(std::string(Update("", "", "spaces/default").status().message()),
              HasSubstr("space_middleware.name: "));
  EXPECT_THAT(std::string(Get("middleware").status().message()), HasSubstr("name: "));
  EXPECT_EQ(Get("spaces/closed/middleware").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock::functions
