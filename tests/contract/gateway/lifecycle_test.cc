#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <string>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;

class LifecycleTest : public GatewayTest {};

TEST_F(LifecycleTest, IsReadyAlone) {
  StopBroker();
  StopManager();
  StopExecutor();
  EXPECT_TRUE(readiness.Evaluate().checks.empty());
  StartGateway();
  EXPECT_TRUE(readiness.Evaluate().ready);
  EXPECT_EQ(Get("/").status, 200);
  EXPECT_EQ(Get("/api/v1/spaces").status, 503);
}

TEST_F(LifecycleTest, AnswersWhatIsInFlightBeforeItStops) {
  executor.SetAnswer(nullptr);
  StartGateway();
  HttpStream slow(http_port(), {"POST", "/_invoke", {{"Function-ID", "f"}}, "x"});
  ASSERT_TRUE(Eventually([this] { return executor.invoked() == 1; }));
  auto stopped =
      std::async(std::launch::async, [this] { return app->Stop(std::chrono::seconds(20)); });
  executor.AnswerOpen();
  EXPECT_TRUE(slow.ReadUntil("200 OK"));
  EXPECT_TRUE(stopped.get().ok());
  EXPECT_EQ(app->http_port(), 0);
}

TEST_F(LifecycleTest, EndsStreamsWhenItStops) {
  StartGateway();
  HttpStream tail(http_port(), {"GET", "/events:tail", {}, ""});
  ASSERT_TRUE(tail.ReadUntil("ndjson"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(app->Stop(std::chrono::seconds(20)).ok());
  EXPECT_TRUE(tail.ReadToEnd());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(LifecycleTest, StopsAtTheDeadlineWhateverHangs) {
  executor.SetAnswer(nullptr);
  broker.SetMode(PublishMode::kSilent);
  StartGateway();
  const HttpStream call(http_port(), {"POST", "/_invoke", {{"Function-ID", "f"}}, "x"});
  const HttpStream publish(http_port(), {"POST", "/events", {{"Event", "t"}}, "x"});
  ASSERT_TRUE(
      Eventually([this] { return executor.invoked() == 1 && broker.entries().size() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(app->Stop(milliseconds(400)).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(Eventually([this] { return executor.cancelled() == 1; }));
}

TEST_F(LifecycleTest, SaysWhichAddressIsTaken) {
  StartGateway();
  Config second = config;
  second.http_listen.port = http_port();
  lifecycle::Readiness other;
  metrics::Registry its_metrics;
  auto app2 = App::Create(second, {SystemClock(), its_metrics, other});
  ASSERT_TRUE(app2.ok());
  const absl::Status started = (*app2)->Start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()),
              testing::HasSubstr(std::to_string(second.http_listen.port)));
  EXPECT_FALSE(other.Evaluate().ready);
}

TEST_F(LifecycleTest, CountsWhatItAnswers) {
  StartGateway();
  Publish("1");
  Get("/api/v1/nothing");
  ASSERT_TRUE(WatchesRoutes());
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text,
              testing::HasSubstr(
                  R"(penstock_gateway_http_requests_total{surface="publish",status="2xx"} 1)"));
  EXPECT_THAT(text, testing::HasSubstr(
                        R"(penstock_gateway_http_requests_total{surface="api",status="4xx"} 1)"));
  EXPECT_THAT(text, testing::HasSubstr("penstock_gateway_publish_queue_events 0"));
  EXPECT_THAT(text, testing::HasSubstr("penstock_gateway_routes 0"));
  EXPECT_THAT(text, testing::HasSubstr("penstock_gateway_loop_lag_seconds"));
}

}  // namespace
}  // namespace penstock::gateway
