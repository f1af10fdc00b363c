#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using executions::v1::InvokeRequest;
using executions::v1::InvokeResponse;
using testing::HasSubstr;

constexpr char kInvoke[] = "/api/v1/spaces/default/functions/f:invoke";

class InvokeTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  InvokeTest() : GatewayTest(GetParam()) {}

  void AnswerWithError(const std::string& category, const std::string& type) {
    executor.SetAnswer([=](const InvokeRequest&) {
      InvokeResponse response;
      response.set_execution("spaces/default/executions/e2");
      response.mutable_error()->set_category(category);
      response.mutable_error()->set_type(type);
      return response;
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, InvokeTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(InvokeTest, PassesAnyBodyThrough) {
  StartGateway();
  const std::string body("\0\xFF{bytes", 8);
  const HttpAnswer answer = Post(kInvoke, body, {{"Content-Type", "image/png"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, body);
  EXPECT_EQ(answer.Header("Content-Type"), "image/png");
  EXPECT_EQ(answer.Header("Penstock-Execution"), "spaces/default/executions/e1");
  EXPECT_EQ(executor.last().name(), "spaces/default/functions/f");
  EXPECT_FALSE(executor.last().has_http());
}

TEST_P(InvokeTest, NobodyMayPretendToBeAnHttpEvent) {
  StartGateway();
  Post(std::string(kInvoke) + "?http.method=GET", "x");
  EXPECT_FALSE(executor.last().has_http());
}

TEST_P(InvokeTest, AnswersAsTheFunctionSays) {
  StartGateway();
  const HttpAnswer answer = PostJson(kInvoke, R"({"statusCode":418,"headers":{"X-A":"b"}})");
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.Header("X-A"), "b");
}

TEST_P(InvokeTest, MapsErrors) {
  StartGateway();
  AnswerWithError("InputError", "ValueError");
  EXPECT_EQ(Post(kInvoke, "").status, 400);
  AnswerWithError("FunctionError", "KeyError");
  const HttpAnswer answer = Post(kInvoke, "");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.Header("Penstock-Error"), "FunctionError");
  EXPECT_EQ(answer.Header("Penstock-Execution"), "spaces/default/executions/e2");
  AnswerWithError("SystemError", "ConnectFailed");
  EXPECT_EQ(Post(kInvoke, "").status, 503);
  AnswerWithError("FunctionError", "Timeout");
  EXPECT_EQ(Post(kInvoke, "").status, 504);
  executor.SetAnswer([](const InvokeRequest&) {
    return WithRetryAfter(absl::ResourceExhaustedError("busy"), absl::Seconds(3));
  });
  const HttpAnswer busy = Post(kInvoke, "");
  EXPECT_EQ(busy.status, 429);
  EXPECT_EQ(busy.Header("Retry-After"), "3");
  executor.SetAnswer([](const InvokeRequest&) { return absl::NotFoundError("no function"); });
  EXPECT_EQ(Post(kInvoke, "").status, 404);
}

TEST_P(InvokeTest, NamesTheExecutorWhenItIsLost) {
  StopExecutor();
  StartGateway();
  const HttpAnswer answer = Post(kInvoke, "");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("function-executor"));
  EXPECT_EQ(Publish("1").status, 202);
}

TEST_P(InvokeTest, KnowsTheFoundingDocumentsForms) {
  StartGateway();
  EXPECT_EQ(Post("/_invoke", "a", {{"Function-ID", "f"}}).body, "a");
  EXPECT_EQ(executor.last().name(), "spaces/default/functions/f");
  EXPECT_EQ(Post("/_invoke?functionId=g&space=blue", "a").status, 200);
  EXPECT_EQ(executor.last().name(), "spaces/blue/functions/g");
  EXPECT_EQ(Post("/", "a", {{"Event", "invoke"}, {"Function-ID", "h"}, {"Space", "red"}}).body,
            "a");
  EXPECT_EQ(executor.last().name(), "spaces/red/functions/h");
  EXPECT_EQ(Post("/_invoke", "a").status, 400);
  EXPECT_EQ(Post("/_invoke", "a", {{"Function-ID", "a b"}}).status, 400);
  EXPECT_EQ(Post("/_invoke", "a", {{"Function-ID", "f"}, {"Space", "?"}}).status, 400);
  EXPECT_EQ(Get("/_invoke").status, 405);
}

class InvokeReplicasTest : public GatewayTest {};

TEST_F(InvokeReplicasTest, SpreadsCallsOverReplicas) {
  FakeExecutor second;
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  options.services = {&second};
  auto host = rpc::ServerHost::Start(std::move(options));
  ASSERT_TRUE(host.ok()) << host.status();
  config.function_executor_address =
      "ipv4:" + config.function_executor_address + "," + (*host)->address();
  StartGateway();
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(Post(kInvoke, "").status, 200);
    return executor.invoked() > 0 && second.invoked() > 0;
  }));
  // What is left takes everything when one is gone.
  (*host)->Stop(std::chrono::milliseconds(0));
  EXPECT_TRUE(Eventually([&] { return Post(kInvoke, "").status == 200; }));
  const std::size_t before = executor.invoked();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Post(kInvoke, "").status, 200);
  EXPECT_EQ(executor.invoked(), before + 5);
}

TEST_P(InvokeTest, CancelsTheCallWhenTheClientLeaves) {
  executor.SetAnswer(nullptr);
  StartGateway();
  HttpStream client(http_port(), {"POST", kInvoke, {}, "x"});
  ASSERT_TRUE(Eventually([this] { return executor.invoked() == 1; }));
  client.Close();
  EXPECT_TRUE(Eventually([this] { return executor.cancelled() == 1; }));
}

}  // namespace
}  // namespace penstock::gateway
