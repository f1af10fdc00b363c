// Functions with middleware: what callers are told, and what records show.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/status.h"
#include "libs/rpc/status.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MiddlewareTest : public ExecutorTest {
 protected:
  static pb::InvokeRequest Request(const std::string& payload = "{}",
                                   const std::string& idempotency_key = "") {
    pb::InvokeRequest request;
    request.set_name("spaces/default/functions/f");
    request.mutable_payload()->set_data(payload);
    request.mutable_payload()->set_content_type("application/json");
    request.set_idempotency_key(idempotency_key);
    return request;
  }
  absl::Status Call(const pb::InvokeRequest& request, pb::InvokeResponse* response) {
    return rpc::FromGrpcStatus(TryInvoke(request, response));
  }
  absl::Status Call(const pb::InvokeRequest& request) {
    pb::InvokeResponse response;
    return Call(request, &response);
  }
  // The steps of the newest record, as "name PHASE effect".
  std::vector<std::string> Steps() {
    std::vector<std::string> steps;
    const auto list = List([](pb::ListExecutionsRequest& request) { request.set_page_size(1); });
    if (list.executions_size() == 0) return steps;
    for (const pb::ExecutionStep& step : list.executions(0).steps()) {
      steps.push_back(step.name() + " " + pb::ExecutionStep::Phase_Name(step.phase()) + " " +
                      step.effect());
    }
    return steps;
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, MiddlewareTest, ::testing::Bool(), TransportName);

TEST_P(MiddlewareTest, ACallBeyondTheRateIsTooManyAndSaysWhenToComeAgain) {
  functions::v1::Function function = Noop();
  function.add_middleware()->mutable_rate_limit()->set_rate(0.001);
  manager_->Put("f", function);
  StartNode();
  ASSERT_TRUE(Call(Request()).ok());
  const absl::Status refused = Call(Request());
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "RateLimited");
  EXPECT_GT(RetryAfterOf(refused), absl::Seconds(900));
  EXPECT_THAT(Steps(), ElementsAre("rate_limit BEFORE refused"));
}

TEST_P(MiddlewareTest, RetriesAndThenOpensTheCircuit) {
  functions::v1::Function function = HttpTo("http://127.0.0.1:1/");
  function.add_middleware()->mutable_breaker()->set_failures(1);
  auto* const retry = function.add_middleware()->mutable_retry();
  retry->set_max_attempts(2);
  retry->mutable_initial_backoff()->set_nanos(1'000'000);
  manager_->Put("f", function);
  StartNode();
  pb::InvokeResponse response;
  ASSERT_TRUE(Call(Request(), &response).ok());
  EXPECT_EQ(response.error().category(), "SystemError");
  EXPECT_THAT(Steps(), ElementsAre("breaker BEFORE passed", "retry BEFORE passed",
                                   "retry AFTER retried 1", "breaker AFTER opened"));
  const absl::Status refused = Call(Request());
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused), "CircuitOpen");
  EXPECT_GT(RetryAfterOf(refused), absl::Seconds(5));
}

TEST_P(MiddlewareTest, AKeyIsForOnePayload) {
  functions::v1::Function function = Noop();
  function.add_middleware()->mutable_idempotency();
  manager_->Put("f", function);
  StartNode();
  pb::InvokeResponse first;
  pb::InvokeResponse again;
  ASSERT_TRUE(Call(Request("1", "\"k\""), &first).ok());
  ASSERT_TRUE(Call(Request("1", "k"), &again).ok()) << "with the quotes of a header or without";
  EXPECT_EQ(again.payload().data(), "1");
  EXPECT_NE(again.execution(), first.execution());
  EXPECT_THAT(Steps(), ElementsAre("idempotency BEFORE answered"));
  const absl::Status other = Call(Request("2", "k"));
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(other), "IdempotencyMismatch");
  const absl::Status long_key = Call(Request("1", std::string(256, 'k')));
  EXPECT_EQ(long_key.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(long_key.message()), HasSubstr("idempotency_key"));
}

TEST_P(MiddlewareTest, AKindThatIsNotKnownRefusesTheCall) {
  functions::v1::Function function = Noop();
  function.add_middleware()->mutable_timeout()->mutable_timeout()->set_seconds(1);
  function.add_middleware();  // A kind of a later contract arrives like this.
  manager_->Put("f", function);
  StartNode();
  const absl::Status refused = Call(Request());
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("of a kind unknown here"));
}

TEST_P(MiddlewareTest, RecordsKeepNoneOfWhatLogTakesOut) {
  functions::v1::Function function = Noop();
  function.add_middleware()->mutable_log()->add_redact("/card");
  manager_->Put("f", function);
  StartNode();
  pb::InvokeResponse response;
  ASSERT_TRUE(Call(Request(R"({"card":"4111"})"), &response).ok());
  EXPECT_EQ(response.payload().data(), R"({"card":"4111"})");
  const auto list = List([](pb::ListExecutionsRequest&) {});
  ASSERT_EQ(list.executions_size(), 1);
  EXPECT_EQ(list.executions(0).SerializeAsString().find("4111"), std::string::npos);
  EXPECT_EQ(list.executions(0).input().json().struct_value().fields().at("card").string_value(),
            "[redacted]");
}

}  // namespace
}  // namespace penstock::executor
