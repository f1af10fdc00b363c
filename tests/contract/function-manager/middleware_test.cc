// Middleware of functions and of spaces: kept, checked, and told to executors.
#include <gmock/gmock.h>

#include <string>

#include "tests/contract/function-manager/fixture.h"

namespace penstock::functions {
namespace {

using Manager = pb::FunctionManagerService::Stub;
using testing::HasSubstr;

pb::Function WithSteps() {
  pb::Function function;
  function.mutable_noop();
  function.add_middleware()->mutable_timeout()->mutable_timeout()->set_nanos(1'500'000);
  auto* const limit = function.add_middleware()->mutable_rate_limit();
  limit->set_rate(0.5);
  limit->set_caller(true);
  auto* const log = function.add_middleware()->mutable_log();
  log->add_redact("/a~1b");
  log->set_bodies(pb::LogStep::FAILURES);
  function.add_middleware()->mutable_transform()->set_before(".a\n| .b");
  return function;
}

std::string Bytes(const google::protobuf::RepeatedPtrField<pb::Middleware>& steps) {
  std::string bytes;
  for (const pb::Middleware& step : steps) bytes += step.SerializeAsString() + "|";
  return bytes;
}

TEST_P(FunctionManagerTest, KeepsTheStepsOfAFunctionInItsVersions) {
  const pb::Function wanted = WithSteps();
  const auto created = Create("f", wanted);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(Bytes(created->middleware()), Bytes(wanted.middleware()));
  Restart();
  EXPECT_EQ(Bytes(Get("f")->middleware()), Bytes(wanted.middleware()));
  pb::UpdateFunctionRequest update;
  update.mutable_function()->set_name("spaces/default/functions/f");
  update.mutable_update_mask()->add_paths("middleware");
  const auto updated = Update(update);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->version(), 2);
  EXPECT_EQ(updated->middleware_size(), 0);
  EXPECT_EQ(Get("f@1")->middleware_size(), 4);
}

TEST_P(FunctionManagerTest, NamesTheStepThatIsWrong) {
  pb::Function function = WithSteps();
  function.mutable_middleware(2)->mutable_retry()->set_max_attempts(99);
  const absl::Status refused = Create("f", function).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("function.middleware[2].retry.max_attempts: is 99: expected 2 to 10"));
}

TEST_P(FunctionManagerTest, TellsExecutorsTheStepsOfASpace) {
  ASSERT_TRUE(Create("f", WithSteps()).ok());
  pb::GetSpaceMiddlewareRequest get;
  get.set_name("spaces/default/middleware");
  const auto empty = Call(*manager_, &Manager::GetSpaceMiddleware, get);
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->middleware_size(), 0);
  EXPECT_FALSE(empty->has_update_time());

  pb::UpdateSpaceMiddlewareRequest update;
  *update.mutable_space_middleware() = *empty;
  update.mutable_space_middleware()->add_middleware()->mutable_cache();
  std::string revision;
  const auto set = Call(*manager_, &Manager::UpdateSpaceMiddleware, update, {}, &revision);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_NE(set->etag(), empty->etag());
  EXPECT_TRUE(revision.starts_with("function-manager:")) << revision;
  EXPECT_EQ(Call(*manager_, &Manager::UpdateSpaceMiddleware, update).status().code(),
            absl::StatusCode::kAborted)
      << "the etag is stale";
  Restart();
  EXPECT_EQ(Call(*manager_, &Manager::GetSpaceMiddleware, get)->SerializeAsString(),
            set->SerializeAsString());

  const auto context = NewContext();
  AsPeer()(*context);
  pbi::WatchFunctionsRequest request;
  const auto reader = registry_->WatchFunctions(context.get(), request);
  pbi::WatchFunctionsResponse snapshot;
  ASSERT_TRUE(reader->Read(&snapshot));
  ASSERT_EQ(snapshot.changes_size(), 1);
  EXPECT_EQ(Bytes(snapshot.changes(0).space_middleware()), Bytes(set->middleware()));
  EXPECT_EQ(snapshot.changes(0).function().middleware_size(), 4);
  context->TryCancel();
  reader->Finish();
}

}  // namespace
}  // namespace penstock::functions
