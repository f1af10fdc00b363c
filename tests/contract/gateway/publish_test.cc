#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using testing::AnyOf;
using testing::HasSubstr;
using testing::SizeIs;

const HeaderList kBatch = {{"Content-Type", "application/cloudevents-batch+json"}};

class PublishTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  PublishTest() : GatewayTest(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Transports, PublishTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(PublishTest, AnswersWithTheReceipt) {
  StartGateway();
  const HttpAnswer answer = Publish("1");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, R"({"id":"1","sequence":"1","status":"ACCEPTED"})");
  EXPECT_FALSE(answer.Header("X-Request-Id").empty());
  EXPECT_EQ(Publish("1").body, R"({"id":"1","sequence":"1","status":"DUPLICATE"})");
  EXPECT_EQ(broker.entries().at(0).space(), "default");
}

TEST_P(PublishTest, TakesTheSpaceFromThePathOrTheHeader) {
  StartGateway();
  EXPECT_EQ(Post("/spaces/blue/events", "", {{"Event", "t"}}).status, 202);
  EXPECT_EQ(Post("/events", "", {{"Event", "t"}, {"Space", "red"}}).status, 202);
  ASSERT_THAT(broker.entries(), SizeIs(2));
  EXPECT_EQ(broker.entries()[0].space(), "blue");
  EXPECT_EQ(broker.entries()[0].event().source(), "/spaces/blue/http");
  EXPECT_EQ(broker.entries()[1].space(), "red");
  EXPECT_EQ(Post("/spaces/a%20b/events", "", {{"Event", "t"}}).status, 400);
  EXPECT_EQ(Post("/events", "", {{"Event", "t"}, {"Space", "x"}}).status, 400);
}

TEST_P(PublishTest, CoalescesEventsOfManyConnections) {
  StartGateway();
  std::vector<std::thread> clients;
  std::atomic<int> taken{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this, i, &taken] {
      for (int j = 0; j < 20; ++j) {
        if (Publish(std::to_string(i * 100 + j)).status == 202) ++taken;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(taken, 160);
  // A stream for each event loop, whatever the number of connections.
  EXPECT_LE(broker.calls.all().size(), 2u);
}

TEST_P(PublishTest, JudgesEachEventOfABatch) {
  StartGateway();
  const HttpAnswer answer = Post("/events", R"([
      {"specversion":"1.0","id":"1","source":"/s","type":"t"},
      {"specversion":"1.0","id":"2","source":"/s","type":"refused"},
      {"specversion":"1.0","id":"3","source":"/s"}])",
                                 kBatch);
  EXPECT_EQ(answer.status, 207);
  EXPECT_THAT(answer.body, HasSubstr(R"([{"id":"1","sequence":"1","status":"ACCEPTED"},)"
                                     R"({"id":"2","error":{"code":3,"message":"type: is not)"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"id":"3","error":{"code":3,"message":"type: is req)"));
  EXPECT_EQ(Post("/events", R"([{"specversion":"1.0","id":"9","source":"/s","type":"t"}])", kBatch)
                .status,
            202);
  EXPECT_EQ(Post("/events", R"([{"id":"9"}])", kBatch).status, 400);
  const HttpAnswer empty = Post("/events", "[]", kBatch);
  EXPECT_EQ(empty.status, 202);
  EXPECT_EQ(empty.body, "[]");
}

TEST_P(PublishTest, SaysWhatTheBrokerRefused) {
  StartGateway();
  const HttpAnswer answer = Publish("1", "refused");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr(R"("field":"type","description":"is not wanted here")"));
}

TEST_P(PublishTest, TakesEmitsOfTheFoundingDocument) {
  StartGateway();
  EXPECT_EQ(Post("/_emit", "1", {{"Event", "a.b"}}).status, 202);
  EXPECT_EQ(Post("/", "1", {{"Event", "a.b"}}).status, 202);
  EXPECT_EQ(Post("/any/path", "1", {{"Event", "a.b"}}).status, 202);
  EXPECT_EQ(Post("/_emit", "1").status, 400);
  EXPECT_EQ(Get("/_emit").status, 405);
  EXPECT_EQ(Post("/_other", "1", {{"Event", "a.b"}}).status, 404);
  EXPECT_THAT(broker.entries(), SizeIs(3));
}

TEST_P(PublishTest, NamesTheBrokerWhenItIsLost) {
  StopBroker();
  StartGateway();
  const HttpAnswer answer = Publish("1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("event-broker"));
  EXPECT_THAT(answer.body, HasSubstr("SERVICE_UNAVAILABLE"));
}

TEST_P(PublishTest, GoesOnWhenTheBrokerIsBack) {
  StartGateway();
  EXPECT_EQ(Publish("1").status, 202);
  StopBroker();
  EXPECT_EQ(Publish("2").status, 503);
  StartBroker();
  EXPECT_TRUE(Eventually([this] { return Publish("3").status == 202; }));
}

TEST_P(PublishTest, SendsAnEventAgainWhenItsStreamBreaks) {
  broker.SetMode(PublishMode::kBreak, 1);
  StartGateway();
  EXPECT_EQ(Publish("1").status, 202);
  ASSERT_THAT(broker.entries(), SizeIs(2));
  EXPECT_EQ(broker.entries()[0].event().id(), broker.entries()[1].event().id());
}

TEST_P(PublishTest, DoesNotSendAnEventThreeTimes) {
  broker.SetMode(PublishMode::kBreak, 100);
  StartGateway();
  const HttpAnswer answer = Publish("1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("OUTCOME_UNKNOWN: retry with the same id"));
  EXPECT_THAT(broker.entries(), SizeIs(2));
}

TEST_P(PublishTest, DoesNotWaitForEver) {
  broker.SetMode(PublishMode::kSilent);
  config.publish_timeout = milliseconds(150);
  StartGateway();
  const HttpAnswer answer = Publish("1");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("OUTCOME_UNKNOWN"));
}

class PublishLimitsTest : public GatewayTest {};

TEST_F(PublishLimitsTest, SendsTheClientAwayWhenTooMuchWaits) {
  broker.SetMode(PublishMode::kSilent);
  config.http_threads = 1;
  StartGateway();
  // Four batches of 256 are a quarter of what may wait.
  std::string batch = "[";
  for (int i = 0; i < 256; ++i) {
    batch += R"({"specversion":"1.0","source":"/s","type":"t","id":")" + std::to_string(i) + "\"},";
  }
  batch.back() = ']';
  std::vector<std::unique_ptr<HttpStream>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(
        std::make_unique<HttpStream>(http_port(), HttpQuestion{"POST", "/events", kBatch, batch}));
  }
  ASSERT_TRUE(Eventually([this] { return broker.entries().size() == 1024; }));
  const HttpAnswer answer = Publish("one more");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.Header("Retry-After"), "1");
  // Another space has its own share.
  const HttpStream other(http_port(), {"POST", "/spaces/other/events", {{"Event", "t"}}, "x"});
  EXPECT_TRUE(Eventually([this] { return broker.entries().size() == 1025; }));
}

TEST_F(PublishLimitsTest, RefusesWhatIsTooLarge) {
  config.http_limits.body_bytes_max = 2048;
  StartGateway();
  const std::string large(2049, 'x');
  EXPECT_EQ(Post("/events", large, {{"Event", "t"}}).status, 413);
  EXPECT_EQ(Post("/events", std::string(2048, 'x'), {{"Event", "t"}}).status, 202);
  const std::string structured =
      R"({"specversion":"1.0","id":"1","source":"/s","type":"t","data":")" + large + "\"}";
  EXPECT_EQ(Post("/events", structured, {{"Content-Type", "application/cloudevents+json"}}).status,
            413);
  std::string batch = "[{}";
  for (int i = 0; i < 256; ++i) batch += ",{}";
  EXPECT_EQ(Post("/events", batch + "]", kBatch).status, 413);
  EXPECT_EQ(Post("/events", std::string((8u << 20) + 1, ' '), kBatch).status, 413);
}

TEST_F(PublishLimitsTest, TakesTheLimitsOfARequestFromItsSettings) {
  config.http_limits.header_bytes_max = 4096;
  config.http_limits.target_bytes_max = 300;
  config.http_limits.header_fields_max = 20;
  StartGateway();
  const auto status = [this](const std::string& target, const HeaderList& headers) {
    return Ask(http_port(), {"GET", target, headers, ""}).status;
  };
  EXPECT_EQ(status("/" + std::string(299, 'x'), {}), 404);
  EXPECT_EQ(status("/" + std::string(300, 'x'), {}), 414);
  EXPECT_EQ(status("/", {{"X", std::string(3000, 'x')}}), 200);
  EXPECT_EQ(status("/", {{"X", std::string(4096, 'x')}}), 431);
  EXPECT_EQ(status("/", HeaderList(21, {"X", "x"})), 431);
}

TEST_F(PublishLimitsTest, RefusesFormatsThatItDoesNotKnow) {
  StartGateway();
  EXPECT_EQ(Post("/events", "x", {{"Content-Type", "application/cloudevents+avro"}}).status, 415);
  EXPECT_EQ(Post("/events", "{}", {{"Content-Type", "application/json"}}).status, 400);
  const HttpAnswer answer = Ask(http_port(), {"DELETE", "/events", {}, ""});
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.Header("Allow"), "GET, POST");
}

// One bad string would end the stream that all events share.
TEST_F(PublishLimitsTest, ABadEventHarmsNoOther) {
  StartGateway();
  EXPECT_EQ(Publish("1").status, 202);
  const HttpAnswer bad =
      Post("/events", "x",
           {{"ce-specversion", "1.0"}, {"ce-id", "%FF"}, {"ce-source", "/s"}, {"ce-type", "t"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(Publish("2").status, 202);
  EXPECT_THAT(broker.calls.all().size(), AnyOf(1u, 2u));
}

}  // namespace
}  // namespace penstock::gateway
