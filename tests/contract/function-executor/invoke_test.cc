// Direct calls.
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/status.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

class InvokeTest : public ExecutorTest {
 protected:
  static pb::InvokeRequest Request(const std::string& function) {
    pb::InvokeRequest request;
    request.set_name("spaces/default/functions/" + function);
    return request;
  }

  absl::Status BatchInvoke(const pb::BatchInvokeRequest& request,
                           pb::BatchInvokeResponse* response) {
    grpc::ClientContext context;
    return rpc::FromGrpcStatus(pb::FunctionExecutorService::NewStub(ChannelTo(*node_))
                                   ->BatchInvoke(&context, request, response));
  }

  absl::Status Refusal(const pb::InvokeRequest& request, const std::string& min_revision = "") {
    pb::InvokeResponse response;
    const absl::Status status = rpc::FromGrpcStatus(TryInvoke(request, &response, min_revision));
    EXPECT_FALSE(status.ok());
    return status;
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, InvokeTest, ::testing::Bool(), TransportName);

TEST_P(InvokeTest, AnswersWithTheFunctionsResult) {
  manager_->Put("echo", Noop());
  StartNode();
  const pb::InvokeResponse response = Invoke("echo", R"({"a":1})", "application/json");
  EXPECT_EQ(response.payload().data(), R"({"a":1})");
  EXPECT_EQ(response.payload().content_type(), "application/json");
  EXPECT_FALSE(response.has_error());
  EXPECT_EQ(response.function_version(), 1);
  EXPECT_TRUE(response.execution().starts_with("spaces/default/executions/"));
}

TEST_P(InvokeTest, ABatchHasAResultForEachCallInOrder) {
  manager_->Put("echo", Noop());
  manager_->Put("hang", HttpTo(Url("/hang")));
  StartNode();
  pb::BatchInvokeRequest request;
  request.set_parent("spaces/default");
  const auto add = [&](const std::string& function, const std::string& payload) {
    pb::InvokeRequest* call = request.add_requests();
    *call = Request(function);
    call->mutable_payload()->set_data(payload);
    return call;
  };
  add("echo", "one");
  add("nothing", "two");
  add("hang", "three")->mutable_timeout()->set_nanos(50'000'000);
  add("echo", "four");
  pb::BatchInvokeResponse response;
  ASSERT_TRUE(BatchInvoke(request, &response).ok());
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_EQ(response.results(0).response().payload().data(), "one");
  EXPECT_EQ(response.results(1).status().code(), grpc::NOT_FOUND);
  EXPECT_EQ(response.results(2).response().error().type(), "Timeout");
  EXPECT_EQ(response.results(3).response().payload().data(), "four");
  EXPECT_EQ(List([](auto&) {}).executions_size(), 3);
}

TEST_P(InvokeTest, ABatchIsCheckedBeforeAnythingRuns) {
  manager_->Put("echo", Noop());
  StartNode();
  const auto field_of = [&](const std::function<void(pb::BatchInvokeRequest&)>& change) {
    pb::BatchInvokeRequest request;
    request.set_parent("spaces/default");
    for (int i = 0; i < 2; ++i) *request.add_requests() = Request("echo");
    change(request);
    pb::BatchInvokeResponse response;
    const absl::Status status = BatchInvoke(request, &response);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? std::string() : violations.front().field;
  };
  EXPECT_EQ(field_of([](auto& request) { request.set_parent("default"); }), "parent");
  EXPECT_EQ(field_of([](auto& request) { request.clear_requests(); }), "requests");
  EXPECT_EQ(field_of([](auto& request) {
              for (int i = 0; i < 99; ++i) *request.add_requests() = Request("echo");
            }),
            "requests");
  EXPECT_EQ(field_of([](auto& request) { request.mutable_requests(1)->set_name("echo"); }),
            "requests[1].name");
  EXPECT_EQ(field_of([](auto& request) {
              request.mutable_requests(1)->set_name("spaces/other/functions/echo");
            }),
            "requests[1].name");
  EXPECT_EQ(
      field_of([](auto& request) {
        for (int i = 0; i < 5; ++i) {
          *request.add_requests() = Request("echo");
          request.mutable_requests(i)->mutable_payload()->set_data(std::string(1'000'000, 'x'));
        }
      }),
      "requests");
  EXPECT_EQ(List([](auto&) {}).executions_size(), 0);
}

TEST_P(InvokeTest, AnswersOfABatchThatAreTooLargeTogetherNameTheirExecutions) {
  manager_->Put("echo", Noop());
  StartNode();
  manager_->Put("large", Python("def handle(ctx, payload):\n    return 'x' * 900000\n"));
  EXPECT_TRUE(Eventually([&] {
    pb::InvokeResponse response;
    return TryInvoke(Request("large"), &response).ok();
  }));
  pb::BatchInvokeRequest request;
  request.set_parent("spaces/default");
  for (int i = 0; i < 9; ++i) *request.add_requests() = Request("large");
  pb::BatchInvokeResponse response;
  const absl::Status status = BatchInvoke(request, &response);
  ASSERT_TRUE(status.ok()) << status;
  int refused = 0;
  for (const pb::BatchInvokeResult& result : response.results()) {
    if (!result.has_status()) continue;
    EXPECT_EQ(result.status().code(), grpc::RESOURCE_EXHAUSTED);
    EXPECT_NE(result.status().message().find("execution "), std::string::npos);
    ++refused;
  }
  EXPECT_EQ(refused, 3) << "six of 0.9 MB fit";
}

TEST_P(InvokeTest, RunsPythonWithLogsAndErrors) {
  manager_->Put("py", Python("def handle(ctx, payload):\n"
                             "    print('working')\n"
                             "    if payload.get('bad'):\n"
                             "        raise ValueError('bad payload')\n"
                             "    return {'sum': sum(payload['n'])}\n"));
  StartNode();
  const pb::InvokeResponse good = Invoke("py", R"({"n":[1,2,3]})", "application/json");
  EXPECT_FALSE(good.has_error()) << good.error().message();
  EXPECT_EQ(good.payload().data(), R"({"sum":6})");
  ASSERT_EQ(good.logs().stdout_size(), 1);
  EXPECT_EQ(good.logs().stdout(0), "working");
  const pb::InvokeResponse bad = Invoke("py", R"({"bad":true})", "application/json");
  EXPECT_EQ(bad.error().category(), "FunctionError");
  EXPECT_EQ(bad.error().type(), "ValueError");
  EXPECT_EQ(bad.error().message(), "bad payload");
  EXPECT_GT(bad.error().stacktrace_size(), 0);
}

TEST_P(InvokeTest, CallsHttpFunctions) {
  manager_->Put("web", HttpTo(Url("/echo")));
  manager_->Put("broken", HttpTo(Url("/fail")));
  StartNode();
  EXPECT_EQ(Invoke("web", "x", "text/plain").payload().data(), "POST x");
  const pb::InvokeResponse failed = Invoke("broken");
  EXPECT_EQ(failed.error().category(), "FunctionError");
  EXPECT_EQ(failed.error().type(), "HttpStatus");
}

TEST_P(InvokeTest, EgressRulesAreTakenOverWhileItRuns) {
  manager_->Put("web", HttpTo(Url("/web")));
  StartNode();
  // It leaves a connection behind.
  EXPECT_EQ(Invoke("web", "x", "text/plain").payload().data(), "POST x");
  Config config = node_->config;
  config.egress_denied_ports = {std::to_string(back_end_->port())};
  config.data_dir = "elsewhere";
  ASSERT_TRUE(node_->app->Reload(config).ok());
  EXPECT_EQ(Invoke("web", "x", "text/plain").payload().data(), "");
  config.egress_denied_ports = {"http"};
  EXPECT_FALSE(node_->app->Reload(config).ok());
  config.egress_denied_ports.clear();
  ASSERT_TRUE(node_->app->Reload(config).ok());
  EXPECT_EQ(Invoke("web", "x", "text/plain").payload().data(), "POST x");
}

TEST_P(InvokeTest, AnHttpEventReachesAnHttpFunction) {
  manager_->Put("web", HttpTo(Url("/echo")));
  StartNode();
  pb::InvokeRequest request = Request("web");
  request.mutable_http()->set_method("PATCH");
  request.mutable_http()->set_path("/users/1");
  request.mutable_payload()->set_data("b");
  pb::InvokeResponse response;
  ASSERT_TRUE(TryInvoke(request, &response).ok());
  EXPECT_EQ(response.payload().data(), "PATCH b");
}

TEST_P(InvokeTest, AnUnknownFunctionIsNotFound) {
  StartNode();
  EXPECT_EQ(Refusal(Request("nothing")).code(), absl::StatusCode::kNotFound);
}

TEST_P(InvokeTest, NamesTheFieldThatIsWrong) {
  StartNode();
  const auto field = [&](const pb::InvokeRequest& request, const std::string& revision = "") {
    const auto violations = FieldViolationsOf(Refusal(request, revision));
    return violations.empty() ? "" : violations[0].field;
  };
  pb::InvokeRequest request;
  EXPECT_EQ(field(request), "name");
  request.set_name("spaces/default/functions/../x");
  EXPECT_EQ(field(request), "name");
  request = Request("f");
  request.mutable_timeout()->set_seconds(-1);
  EXPECT_EQ(field(request), "timeout");
  request = Request("f");
  request.mutable_payload()->set_data(std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(field(request), "payload");
  EXPECT_EQ(field(Request("f"), "function-manager:soon"), "penstock-min-revision");
}

TEST_P(InvokeTest, TheTimeoutEndsACall) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  pb::InvokeRequest request = Request("slow");
  request.mutable_timeout()->set_nanos(50'000'000);
  pb::InvokeResponse response;
  ASSERT_TRUE(TryInvoke(request, &response).ok());
  EXPECT_EQ(response.error().category(), "SystemError");
  EXPECT_EQ(response.error().type(), "Timeout");
}

TEST_P(InvokeTest, ACallerThatGoesAwayEndsItsCall) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  {
    const auto stub = pb::FunctionExecutorService::NewStub(ChannelTo(*node_));
    grpc::ClientContext context;
    pb::InvokeResponse response;
    std::thread caller([&] {
      const grpc::Status status = stub->Invoke(&context, Request("slow"), &response);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
    });
    WaitForHanging(1);
    context.TryCancel();
    caller.join();
  }
  EXPECT_TRUE(Eventually([&] { return gone() == 1; })) << "the back end sees it too";
  EXPECT_TRUE(Eventually([&] {
    const auto failed = List([](auto& request) { request.set_state(pb::Execution::FAILED); });
    return failed.executions_size() == 1 && failed.executions(0).error().type() == "Cancelled";
  }));
}

TEST_P(InvokeTest, ALimitOfConcurrencyHoldsCallsBack) {
  functions::v1::Function function = HttpTo(Url("/hang"));
  function.set_max_concurrency(1);
  manager_->Put("one", function);
  StartNode();
  auto first = std::async(std::launch::async, [&] { return Invoke("one"); });
  WaitForHanging(1);
  pb::InvokeRequest request = Request("one");
  request.mutable_timeout()->set_nanos(50'000'000);
  const absl::Status status = Refusal(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(status.message().find("max_concurrency"), absl::string_view::npos);
  Release();
  EXPECT_EQ(first.get().payload().data(), "released");
}

TEST_P(InvokeTest, AThousandCallsAgainstALimitOfTen) {
  functions::v1::Function function = HttpTo(Url("/hang"));
  function.set_max_concurrency(10);
  manager_->Put("narrow", std::move(function));
  StartNode();
  constexpr int kCalls = 1'000;
  // The invoker's default queue.
  constexpr int kTaken = 10 + 256;
  const auto stub = pb::FunctionExecutorService::NewStub(ChannelTo(*node_));
  struct Call {
    grpc::ClientContext context;
    pb::InvokeRequest request;
    pb::InvokeResponse response;
  };
  std::vector<std::unique_ptr<Call>> calls;
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};
  std::atomic<int> other{0};
  std::atomic<int> without_wait{0};
  for (int i = 0; i < kCalls; ++i) {
    Call& call = *calls.emplace_back(std::make_unique<Call>());
    call.request.set_name("spaces/default/functions/narrow");
    stub->async()->Invoke(&call.context, &call.request, &call.response,
                          [&](const grpc::Status& status) {
                            const absl::Status got = rpc::FromGrpcStatus(status);
                            if (got.ok()) {
                              ++answered;
                            } else if (absl::IsResourceExhausted(got)) {
                              if (RetryAfterOf(got) <= absl::ZeroDuration()) ++without_wait;
                              ++refused;
                            } else {
                              ++other;
                            }
                          });
  }
  EXPECT_TRUE(Eventually([&] { return refused == kCalls - kTaken; })) << refused;
  EXPECT_TRUE(Eventually([&] {
    Release();
    return answered + refused + other == kCalls;
  }));
  EXPECT_EQ(answered, kTaken);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(without_wait, 0) << "each refusal says when to come back";
}

TEST_P(InvokeTest, ManyCallersAtOnce) {
  manager_->Put("echo", Noop());
  StartNode();
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string payload = std::to_string(t * 1000 + i);
        EXPECT_EQ(Invoke("echo", payload, "text/plain").payload().data(), payload);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(List([](auto& request) { request.set_page_size(1000); }).executions_size(), 400);
}

}  // namespace
}  // namespace penstock::executor
