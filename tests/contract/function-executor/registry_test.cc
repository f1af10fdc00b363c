// How the executor learns functions.
#include <future>
#include <string>

#include "libs/rpc/status.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

class RegistryTest : public ExecutorTest {
 protected:
  absl::Status InvokeStatus(const std::string& function, std::int64_t min_revision = 0) {
    pb::InvokeRequest request;
    request.set_name("spaces/default/functions/" + function);
    pb::InvokeResponse response;
    const std::string revision =
        min_revision == 0 ? "" : "function-manager:" + std::to_string(min_revision);
    return rpc::FromGrpcStatus(TryInvoke(request, &response, revision));
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, RegistryTest, ::testing::Bool(), TransportName);

TEST_P(RegistryTest, IsNotReadyBeforeTheManagerAnswers) {
  manager_->Stop();
  node_ = std::make_unique<Node>(MakeConfig("executor-of-test"));
  EXPECT_FALSE(node_->readiness.Evaluate().ready);
  const absl::Status status = InvokeStatus("f");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("function-manager"), absl::string_view::npos);
  manager_->Put("f", Noop());
  manager_->Start();
  WaitUntilReady(*node_);
  EXPECT_TRUE(InvokeStatus("f").ok());
}

TEST_P(RegistryTest, ACallWaitsForTheRevisionThatItsCallerSaw) {
  StartNode();
  for (int i = 0; i < 20; ++i) {
    const std::string id = "f" + std::to_string(i);
    const std::int64_t revision = manager_->Put(id, Noop());
    EXPECT_TRUE(InvokeStatus(id, revision).ok()) << i;
  }
  const std::int64_t revision = manager_->Delete("f0");
  EXPECT_EQ(InvokeStatus("f0", revision).code(), absl::StatusCode::kNotFound);
}

TEST_P(RegistryTest, ARevisionThatDoesNotComeIsUnavailable) {
  StartNode();
  const std::int64_t revision = manager_->PutQuietly("late", Noop());
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status = InvokeStatus("late", revision);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("not yet at revision"), absl::string_view::npos);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  auto waiting = std::async(std::launch::async, [&] { return InvokeStatus("late", revision); });
  manager_->Announce();
  EXPECT_TRUE(waiting.get().ok());
}

TEST_P(RegistryTest, GoesOnWhileTheManagerIsAwayAndResumes) {
  const std::int64_t revision = manager_->Put("f", Noop());
  StartNode();
  manager_->Stop();
  EXPECT_TRUE(InvokeStatus("f").ok());
  EXPECT_TRUE(node_->readiness.Evaluate().ready);
  manager_->PutQuietly("g", Noop());
  manager_->Start();
  EXPECT_TRUE(Eventually([&] { return InvokeStatus("g").ok(); }));
  EXPECT_EQ(manager_->from_revisions(), (std::vector<std::int64_t>{0, revision}));
}

TEST_P(RegistryTest, AChangedFunctionRunsItsNewVersion) {
  const auto source = [](const std::string& answer) {
    return Python("def handle(ctx, payload):\n    return '" + answer + "'\n");
  };
  manager_->Put("py", source("one"));
  StartNode();
  EXPECT_EQ(Invoke("py").payload().data(), "\"one\"");
  const std::int64_t revision = manager_->Put("py", source("two"));
  ASSERT_TRUE(InvokeStatus("py", revision).ok());
  const pb::InvokeResponse response = Invoke("py");
  EXPECT_EQ(response.payload().data(), "\"two\"");
  EXPECT_EQ(response.function_version(), 2);
}

TEST_P(RegistryTest, SaysOfEachNewVersionWhetherItStarts) {
  functions::v1::Function good = Python("def handle(ctx, p): return 1\n");
  good.set_state(functions::v1::Function::DEPLOYING);
  functions::v1::Function bad = Python("import no_such_module\n");
  bad.set_state(functions::v1::Function::FAILED);
  manager_->Put("good", good);
  StartNode();
  manager_->Put("bad", bad);
  manager_->Put("known", Python("def handle(ctx, p): return 1\n"));
  ASSERT_TRUE(Eventually([&] { return manager_->reports().size() >= 2; }));
  const auto find = [&](const std::string& id) {
    ipb::ReportDeploymentRequest found;
    for (const auto& report : manager_->reports()) {
      if (report.function() == "spaces/default/functions/" + id) found = report;
    }
    return found;
  };
  EXPECT_EQ(find("good").state(), functions::v1::Function::READY);
  EXPECT_EQ(find("good").version(), 1);
  EXPECT_NE(find("good").uid(), "");
  EXPECT_EQ(find("bad").state(), functions::v1::Function::FAILED);
  EXPECT_NE(find("bad").reason().find("no_such_module"), std::string::npos);
  EXPECT_EQ(find("known").version(), 0) << "what runs somewhere needs no start";
  EXPECT_TRUE(InvokeStatus("good").ok());
}

}  // namespace
}  // namespace penstock::executor
