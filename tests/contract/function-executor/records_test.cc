// Records of executions.
#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/status.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

class RecordsTest : public ExecutorTest {
 protected:
  absl::StatusOr<pb::Execution> Get(const std::string& name) {
    pb::GetExecutionRequest request;
    request.set_name(name);
    pb::Execution execution;
    grpc::ClientContext context;
    const grpc::Status status = Stub()->GetExecution(&context, request, &execution);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return execution;
  }

  std::unique_ptr<pb::FunctionExecutorService::Stub> Stub() {
    return pb::FunctionExecutorService::NewStub(ChannelTo(*node_));
  }

  absl::StatusOr<pb::Execution> CancelRun(const std::string& name) {
    pb::CancelExecutionRequest request;
    request.set_name(name);
    pb::Execution execution;
    grpc::ClientContext context;
    const grpc::Status status = Stub()->CancelExecution(&context, request, &execution);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return execution;
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, RecordsTest, ::testing::Bool(), TransportName);

TEST_P(RecordsTest, ARunIsReadableAsSoonAsItsAnswerCame) {
  manager_->Put("echo", Noop());
  StartNode();
  for (int i = 0; i < 20; ++i) {
    const pb::InvokeResponse response = Invoke("echo", R"({"n":1})", "application/json");
    const auto execution = Get(response.execution());
    ASSERT_TRUE(execution.ok()) << execution.status();
    EXPECT_EQ(execution->state(), pb::Execution::SUCCEEDED);
  }
  const auto listed = List([](auto&) {});
  EXPECT_EQ(listed.executions_size(), 20);
  const pb::Execution& execution = listed.executions(0);
  EXPECT_EQ(execution.function(), "spaces/default/functions/echo");
  EXPECT_EQ(execution.function_version(), 1);
  EXPECT_EQ(execution.trigger(), pb::Execution::CALL);
  EXPECT_EQ(execution.input().json().struct_value().fields().at("n").number_value(), 1);
  EXPECT_EQ(execution.output().size_bytes(), 7);
  EXPECT_EQ(execution.instance().size(), 8U);
  EXPECT_FALSE(execution.traceparent().empty());
}

TEST_P(RecordsTest, BodiesAreReadableWhereTheyCanBe) {
  manager_->Put("echo", Noop());
  StartNode();
  const auto input = [&](const std::string& payload, const std::string& type) {
    return Get(Invoke("echo", payload, type).execution())->input();
  };
  EXPECT_EQ(input("hällo", "text/plain; charset=utf-8").text(), "hällo");
  EXPECT_EQ(input("\xff", "text/plain").binary(), "\xff");
  EXPECT_EQ(input("{broken", "application/json").binary(), "{broken");
  EXPECT_EQ(input("x", "application/octet-stream").binary(), "x");
  const pb::RecordedBody cut = input(std::string(10'000, 'x'), "text/plain");
  EXPECT_EQ(cut.text().size(), 8192U);
  EXPECT_TRUE(cut.truncated());
  EXPECT_EQ(cut.size_bytes(), 10'000);
}

TEST_P(RecordsTest, WhatRunsIsVisibleAndCanBeCancelled) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  auto call = std::async(std::launch::async, [&] { return Invoke("slow"); });
  WaitForHanging(1);
  const auto running = List([](auto& request) { request.set_state(pb::Execution::RUNNING); });
  ASSERT_EQ(running.executions_size(), 1);
  const std::string name = running.executions(0).name();
  EXPECT_EQ(Get(name)->state(), pb::Execution::RUNNING);
  const auto cancelled = CancelRun(name);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(call.get().error().type(), "Cancelled");
  EXPECT_EQ(Get(name)->error().type(), "Cancelled");
  EXPECT_EQ(CancelRun(name).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CancelRun("spaces/default/executions/none").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_P(RecordsTest, FiltersAndPages) {
  manager_->Put("echo", Noop());
  manager_->Put("fail", HttpTo(Url("/fail")));
  StartNode();
  for (int i = 0; i < 5; ++i) Invoke("echo");
  Invoke("fail");
  const auto stream = OpenStream();
  stream->Send({Delivery("d1", "echo")});
  stream->WaitForResult("d1");
  const auto count = [&](const auto& change) { return List(change).executions_size(); };
  EXPECT_EQ(count([](auto&) {}), 7);
  EXPECT_EQ(count([](auto& r) { r.set_function("echo"); }), 6);
  EXPECT_EQ(count([](auto& r) { r.set_function("spaces/default/functions/fail"); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_state(pb::Execution::FAILED); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_trigger(pb::Execution::EVENT); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_event_id("event-d1"); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_subscription("s1"); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_delivery_id("d1"); }), 1);
  EXPECT_EQ(count([](auto& r) { r.set_parent("spaces/other"); }), 0);
  EXPECT_EQ(count([](auto& r) { r.mutable_start_time_to()->set_seconds(1000); }), 0);

  std::vector<std::string> all;
  std::string token;
  do {
    const auto page = List([&](auto& request) {
      request.set_page_size(3);
      request.set_page_token(token);
    });
    const auto names = NamesOf(page);
    EXPECT_LE(names.size(), 3U);
    all.insert(all.end(), names.begin(), names.end());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_EQ(all.size(), 7U);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 7U);
  EXPECT_EQ(all, NamesOf(List([](auto&) {}))) << "the same order";
}

TEST_P(RecordsTest, NamesTheFieldThatIsWrong) {
  StartNode();
  const auto field = [&](const auto& change) -> std::string {
    pb::ListExecutionsRequest request;
    request.set_parent("spaces/default");
    change(request);
    pb::ListExecutionsResponse response;
    grpc::ClientContext context;
    const auto violations = FieldViolationsOf(
        rpc::FromGrpcStatus(Stub()->ListExecutions(&context, request, &response)));
    return violations.empty() ? "" : violations[0].field;
  };
  EXPECT_EQ(field([](auto& r) { r.set_parent("default"); }), "parent");
  EXPECT_EQ(field([](auto& r) { r.set_page_size(-1); }), "page_size");
  EXPECT_EQ(field([](auto& r) { r.set_page_token("x"); }), "page_token");
  EXPECT_EQ(field([](auto& r) { r.set_function("spaces/other/functions/f"); }), "function");
  EXPECT_EQ(field([](auto& r) { r.set_state(static_cast<pb::Execution::State>(99)); }), "state");
  EXPECT_EQ(field([](auto& r) { r.mutable_start_time_from()->set_nanos(-1); }), "start_time_from");
  EXPECT_EQ(FieldViolationsOf(Get("nothing").status()).at(0).field, "name");
  EXPECT_EQ(Get("spaces/default/executions/none").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(RecordsTest, ATailSeesWhatEnds) {
  manager_->Put("echo", Noop());
  manager_->Put("other", Noop());
  StartNode();
  const auto stub = Stub();
  grpc::ClientContext context;
  pb::TailExecutionsRequest request;
  request.set_parent("spaces/default");
  request.set_function("echo");
  const auto tail = stub->TailExecutions(&context, request);
  std::string first;
  std::thread reader([&] {
    pb::Execution execution;
    if (tail->Read(&execution)) first = execution.function();
    context.TryCancel();
  });
  // The tail begins at some moment that only its first record shows.
  std::atomic<bool> read{false};
  std::thread caller([&] {
    while (!read) {
      Invoke("other");
      Invoke("echo");
    }
  });
  reader.join();
  read = true;
  caller.join();
  tail->Finish();
  EXPECT_EQ(first, "spaces/default/functions/echo");
}

TEST_P(RecordsTest, RecordsAndInstanceSurviveARestart) {
  manager_->Put("echo", Noop());
  StartNode();
  const std::string name = Invoke("echo").execution();
  const std::string instance = Get(name)->instance();
  node_->Stop();
  node_->Start();
  WaitUntilReady(*node_);
  const auto execution = Get(name);
  ASSERT_TRUE(execution.ok()) << execution.status();
  EXPECT_EQ(execution->instance(), instance);
  EXPECT_EQ(Get(Invoke("echo").execution())->instance(), instance);
}

TEST_P(RecordsTest, OneFolderHasOneExecutor) {
  StartNode();
  metrics::Registry metrics;
  lifecycle::Readiness readiness;
  Config config = MakeConfig("executor-of-test");
  config.server_name = "second";
  auto second = App::Create(config, {SystemClock(), metrics, readiness});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->Start().code(), absl::StatusCode::kFailedPrecondition);
}

// Over TCP alone: replicas in one process share no name.
class ClusterTest : public RecordsTest {
 protected:
  // Starts two executors that know each other and one that never answers. A name stands for all of
  // them by a resolver's list of one: the system's resolver gives one address a port, so that each
  // node has the other as its peers' name.
  void StartTwo() {
    Config first = MakeConfig("cluster-a");
    node_ = std::make_unique<Node>(first);
    WaitUntilReady(*node_);
    Config second = MakeConfig("cluster-b");
    second.cluster_peers = "127.0.0.1:" + std::to_string(node_->app->port());
    other_ = std::make_unique<Node>(second);
    WaitUntilReady(*other_);
  }

  std::unique_ptr<Node> other_;
};

INSTANTIATE_TEST_SUITE_P(Transports, ClusterTest, ::testing::Values(false), TransportName);

TEST_P(ClusterTest, AListIsOneOverAllExecutors) {
  manager_->Put("echo", Noop());
  StartTwo();
  std::vector<std::string> expected;
  for (int i = 0; i < 6; ++i) {
    expected.insert(expected.begin(), Invoke("echo").execution());
    std::swap(node_, other_);
  }
  std::swap(node_, other_);  // The one with a peer.
  EXPECT_TRUE(Eventually([&] { return List([](auto&) {}).executions_size() == 6; }));
  EXPECT_EQ(NamesOf(List([](auto&) {})), expected);
  std::vector<std::string> all;
  std::string token;
  do {
    const auto page = List([&](auto& request) {
      request.set_page_size(2);
      request.set_page_token(token);
    });
    for (const std::string& name : NamesOf(page)) all.push_back(name);
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_EQ(all, expected);
  for (const std::string& name : expected) EXPECT_TRUE(Get(name).ok()) << name;
}

TEST_P(ClusterTest, NamesExecutorsThatDoNotAnswer) {
  manager_->Put("echo", Noop());
  StartTwo();
  const std::string far = Invoke("echo").execution();
  std::swap(node_, other_);
  const std::string near = Invoke("echo").execution();
  EXPECT_TRUE(Eventually([&] { return List([](auto&) {}).executions_size() == 2; }));
  other_->Stop();
  const auto listed = List([](auto&) {});
  EXPECT_EQ(NamesOf(listed), std::vector<std::string>{near});
  ASSERT_EQ(listed.unreachable_size(), 1);
  EXPECT_TRUE(listed.unreachable(0).starts_with("127.0.0.1:"));
  EXPECT_EQ(Get(far).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Get(near).ok());
}

}  // namespace
}  // namespace penstock::executor
