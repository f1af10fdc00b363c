#include "services/function-executor/middleware/grpc/grpc_step.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/h2/grpc_wire.h"
#include "libs/h2/server.h"
#include "tests/unit/libs/http/test_certificate.h"
#include "tests/unit/services/function-executor/chain_call.h"

namespace penstock::executor {
namespace {

using runtime::v1::ProcessCallRequest;
using runtime::v1::ProcessCallResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers a question; nothing is no answer at all.
using Service = std::function<std::optional<ProcessCallResponse>(const ProcessCallRequest&)>;

// The service's end of one question.
class Served final : public h2::StreamHandler {
 public:
  Served(h2::Stream& stream, const Service& service) : stream_(stream), service_(service) {}
  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override {
    body_ += data.view();
    stream_.Consume(data.size());
  }
  void OnEnd(h2::Fields) override {
    ProcessCallRequest request;
    const auto message = h2::OnlyGrpcMessage(body_);
    ASSERT_TRUE(message.ok()) << message.status();
    ASSERT_TRUE(request.ParseFromArray(message->data(), static_cast<int>(message->size())));
    const auto answer = service_(request);
    if (!answer) return;
    h2::Fields head;
    head.Add(":status", "200");
    head.Add("content-type", "application/grpc");
    stream_.SendHead(std::move(head), false);
    std::string bytes;
    h2::AppendGrpcMessage(bytes, answer->SerializeAsString());
    stream_.Write(h2::Chunk::Copy(bytes));
    h2::Fields trailers;
    h2::AddGrpcStatus({}, trailers);
    stream_.End(std::move(trailers));
  }
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode) override { delete this; }

 private:
  h2::Stream& stream_;
  const Service& service_;
  std::string body_;
};

class GrpcStepTest : public ::testing::Test {
 protected:
  GrpcStepTest() {
    auto started = h2::Server::Start(loops_, {}, [this](h2::Stream& stream, h2::Fields, bool) {
      ++questions_;
      stream.SetHandler(new Served(stream, service_));
    });
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    AddGrpcMiddleware(clients_, &catalog_);
  }
  ~GrpcStepTest() override {
    clients_.Stop();
    server_.reset();
    loops_.Stop();
  }

  std::string Settings(const std::string& more = "") const {
    return fmt::format(R"({{"target":"127.0.0.1:{}"{}}})", server_->port(), more);
  }
  ChainCall::Ended Run(const std::string& settings) {
    return call_.Run(catalog_, "grpc", settings);
  }

  http::EventLoops loops_{{.threads = 2, .name = "test"}};
  std::atomic<bool> is_allowed_ = true;
  ServiceClients clients_{loops_, [this](const std::string&, std::uint16_t) {
                            if (is_allowed_) return absl::OkStatus();
                            return absl::PermissionDeniedError("not in egress.allow");
                          }};
  FakeTimers timers_;
  MiddlewareCatalog catalog_{timers_, SystemClock(), [] { return 0.5; }};
  std::unique_ptr<h2::Server> server_;
  std::atomic<int> questions_ = 0;
  Service service_ = [](const ProcessCallRequest&) { return ProcessCallResponse(); };
  ChainCall call_;
};

TEST_F(GrpcStepTest, LetsACallPass) {
  call_.SetPayload(R"({"a":1})");
  const auto ended = Run(Settings());
  EXPECT_EQ(*ended.outcome.payload, R"({"a":1})") << ended.message();
  EXPECT_THAT(ended.steps, ElementsAre("before passed", "after passed"));
  EXPECT_EQ(questions_, 2);
}

TEST_F(GrpcStepTest, AsksOnlyWhenItIsTold) {
  EXPECT_THAT(Run(Settings(R"(,"before":true)")).steps, ElementsAre("before passed"));
  EXPECT_EQ(questions_, 1);
  EXPECT_THAT(Run(Settings(R"(,"after":true)")).steps,
              ElementsAre("before passed", "after passed"));
  EXPECT_EQ(questions_, 2);
}

TEST_F(GrpcStepTest, TellsWhatACallIs) {
  call_.call.trigger = TriggerKind::kHttp;
  call_.call.caller = "ada";
  call_.call.traceparent = "00-1-2-01";
  call_.call.event =
      EventAttributes{.id = "1", .source = "/s", .type = "t", .others = {{"subject", "x"}}};
  call_.call.http = HttpRequestContext{.method = "POST",
                                       .path = "/p",
                                       .host = "h",
                                       .query = {{"q", "1"}},
                                       .headers = {{"x-a", "b"}},
                                       .params = {{"id", "7"}}};
  std::vector<ProcessCallRequest> seen;
  service_ = [&](const ProcessCallRequest& request) {
    seen.push_back(request);
    return ProcessCallResponse();
  };
  Run(Settings());
  ASSERT_EQ(seen.size(), 2U);
  const ProcessCallRequest& before = seen.front();
  EXPECT_EQ(before.function(), "spaces/default/functions/f");
  EXPECT_EQ(before.function_version(), 3);
  EXPECT_EQ(before.execution(), "spaces/default/executions/e1");
  EXPECT_EQ(before.trigger(), executions::v1::Execution::HTTP);
  EXPECT_EQ(before.caller(), "ada");
  EXPECT_EQ(before.traceparent(), "00-1-2-01");
  EXPECT_EQ(before.event().type(), "t");
  EXPECT_EQ(before.event().attributes().at("subject").ce_string(), "x");
  EXPECT_EQ(before.http().headers(0).name(), "x-a");
  EXPECT_EQ(before.http().params().at("id"), "7");
  EXPECT_GT(before.timeout().seconds(), 30);
  EXPECT_EQ(before.payload().data(), "{}");
  EXPECT_EQ(before.payload().content_type(), "application/json");
  EXPECT_FALSE(before.after());
  EXPECT_TRUE(seen.back().after());
}

TEST_F(GrpcStepTest, GoesOnWithAChangedPayload) {
  service_ = [](const ProcessCallRequest& request) {
    ProcessCallResponse response;
    response.mutable_payload()->set_data(request.after() ? "out" : R"({"in":1})");
    if (request.after()) response.mutable_payload()->set_content_type("text/plain");
    return response;
  };
  const auto ended = call_.Run(catalog_, "grpc", Settings(), [](const Invocation& given) {
    EXPECT_EQ(*given.payload, R"({"in":1})");
    EXPECT_EQ(given.content_type, "application/json");
    return ChainCall::Answer("{}");
  });
  EXPECT_EQ(*ended.outcome.payload, "out");
  EXPECT_EQ(ended.outcome.content_type, "text/plain");
  EXPECT_THAT(ended.steps, ElementsAre("before changed", "after changed"));
}

TEST_F(GrpcStepTest, EndsACallWithTheServicesError) {
  service_ = [](const ProcessCallRequest&) {
    ProcessCallResponse response;
    response.mutable_error()->set_category("InputError");
    response.mutable_error()->set_type("Forbidden");
    response.mutable_error()->set_message("not you");
    return response;
  };
  const auto ended = Run(Settings());
  EXPECT_FALSE(ended.reached);
  EXPECT_EQ(ended.outcome.error->category, ErrorCategory::kInput);
  EXPECT_EQ(ended.error(), "Forbidden");
  EXPECT_EQ(ended.message(), "not you");
  EXPECT_THAT(ended.steps, ElementsAre("before refused"));
}

TEST_F(GrpcStepTest, AnswersInPlaceOfTheFunction) {
  service_ = [](const ProcessCallRequest&) {
    ProcessCallResponse response;
    response.mutable_payload()->set_data("cached");
    response.mutable_payload()->set_content_type("text/plain");
    response.set_answer(true);
    return response;
  };
  const auto ended = Run(Settings());
  EXPECT_FALSE(ended.reached);
  EXPECT_EQ(*ended.outcome.payload, "cached");
  EXPECT_THAT(ended.steps, ElementsAre("before answered"));
}

TEST_F(GrpcStepTest, SeesAndMendsErrorsOfTheFunction) {
  const auto fails = [](const Invocation&) {
    Outcome outcome = FailedOutcome({ErrorCategory::kFunction, "ValueError", "no", {"line"}});
    outcome.http_status = 500;
    return outcome;
  };
  service_ = [](const ProcessCallRequest& request) {
    EXPECT_EQ(request.error().type(), "ValueError");
    EXPECT_EQ(request.error().category(), "FunctionError");
    EXPECT_EQ(request.error().stacktrace(0), "line");
    ProcessCallResponse response;
    response.mutable_payload()->set_data("{}");
    return response;
  };
  const auto mended = call_.Run(catalog_, "grpc", Settings(R"(,"after":true)"), fails);
  EXPECT_FALSE(mended.outcome.error);
  EXPECT_EQ(mended.outcome.http_status, 0);
  service_ = [](const ProcessCallRequest&) { return ProcessCallResponse(); };
  EXPECT_EQ(call_.Run(catalog_, "grpc", Settings(R"(,"after":true)"), fails).error(), "ValueError");
}

TEST_F(GrpcStepTest, WaitsNoLongerThanItsTimeout) {
  service_ = [](const ProcessCallRequest&) { return std::nullopt; };
  const auto closed = Run(Settings(R"(,"timeout":"0.05s")"));
  EXPECT_EQ(closed.error(), "MiddlewareTimeout");
  EXPECT_EQ(closed.outcome.error->category, ErrorCategory::kSystem);
  EXPECT_THAT(closed.message(), HasSubstr("no answer within 50ms"));
  EXPECT_FALSE(closed.reached);
  EXPECT_THAT(closed.steps, ElementsAre("before timed out"));
  const auto open = Run(Settings(R"(,"timeout":"0.05s","failOpen":true)"));
  EXPECT_TRUE(open.reached);
  EXPECT_FALSE(open.outcome.error);
  EXPECT_THAT(open.steps, ElementsAre("before failed open", "after failed open"));
}

TEST_F(GrpcStepTest, EndsWithTheCall) {
  service_ = [](const ProcessCallRequest&) { return std::nullopt; };
  call_.call.deadline = SystemClock().Monotonic() + Microseconds(50'000);
  const auto late = Run(Settings(R"(,"failOpen":true)"));
  EXPECT_TRUE(late.outcome.timed_out);
  EXPECT_FALSE(late.reached);
  call_.call.deadline = SystemClock().Monotonic() + Microseconds(60'000'000);
  const auto cancelled = call_.Run(
      catalog_, "grpc", Settings(R"(,"failOpen":true)"),
      [](const Invocation&) { return ChainCall::Answer("{}"); },
      [](ChainRun& run) { run.Cancel(); });
  EXPECT_EQ(cancelled.error(), "Cancelled");
  EXPECT_FALSE(cancelled.reached);
}

TEST_F(GrpcStepTest, FailsClosedWhereNobodyListens) {
  const std::string settings = Settings();
  server_.reset();
  const auto ended = Run(settings);
  EXPECT_EQ(ended.error(), "MiddlewareFailed");
  EXPECT_THAT(ended.message(), HasSubstr("cannot connect to 127.0.0.1"));
  EXPECT_FALSE(ended.reached);
}

TEST_F(GrpcStepTest, ConnectsOnlyWhereFunctionsMayBeCalled) {
  is_allowed_ = false;
  const auto ended = Run(Settings());
  EXPECT_EQ(ended.error(), "EgressDenied");
  EXPECT_EQ(questions_, 0);
  is_allowed_ = true;
}

TEST_F(GrpcStepTest, GoesByANewPolicyOnNewConnections) {
  // As a version of a function holds it.
  const auto client = clients_.Get(fmt::format("127.0.0.1:{}", server_->port()));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(Run(Settings(R"(,"before":true)")).error(), "");
  is_allowed_ = false;
  clients_.RenewConnections();
  EXPECT_EQ(Run(Settings(R"(,"before":true)")).error(), "EgressDenied");
}

TEST_F(GrpcStepTest, SpeaksTlsWhereTheTargetSaysSo) {
  const http::TestCertificates certificates;
  h2::ServerOptions options;
  options.tls.cert_file = certificates.server_cert_file();
  options.tls.key_file = certificates.server_key_file();
  auto started = h2::Server::Start(loops_, options, [this](h2::Stream& stream, h2::Fields, bool) {
    stream.SetHandler(new Served(stream, service_));
  });
  ASSERT_TRUE(started.ok()) << started.status();
  const std::string settings =
      fmt::format(R"({{"target":"https://localhost:{}"}})", (*started)->port());
  // The authorities are the system's, among which that of the test is not.
  EXPECT_THAT(Run(settings).message(), HasSubstr("the TLS handshake failed"));
  ASSERT_EQ(::setenv("SSL_CERT_FILE", certificates.ca_file().c_str(), 1), 0);
  // A connection that was tried before the change may fail this call too.
  auto trusted = Run(settings);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!trusted.error().empty() && std::chrono::steady_clock::now() < end) {
    trusted = Run(settings);
  }
  ::unsetenv("SSL_CERT_FILE");
  EXPECT_EQ(trusted.error(), "") << trusted.message();
  started->reset();
}

TEST(ServiceTargetTest, KnowsItsForms) {
  for (const char* target : {"a:1", "dns:///a:1", "http://a:1", "https://a:1", "[::1]:1"}) {
    const auto parsed = ParseServiceTarget(target);
    ASSERT_TRUE(parsed.ok()) << target;
    EXPECT_EQ(parsed->has_tls, std::string_view(target).starts_with("https:")) << target;
  }
  EXPECT_EQ(ParseServiceTarget("dns:///a:1")->address, "a:1");
  for (const char* target : {"", "a", "a:", ":1", "a:0", "https://a", "https://a:1/x", "unix:/a",
                             "inproc:a", "ftp://a:1"}) {
    EXPECT_FALSE(ParseServiceTarget(target).ok()) << target;
  }
}

}  // namespace
}  // namespace penstock::executor
