#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

constexpr char kPull[] = "/api/v1/spaces/default/subscriptions/pulled:pull";

class PullTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  PullTest() : GatewayTest(GetParam()) { StartGateway(); }

  HttpQuestion Stream(const std::string& query = "") const {
    return {"GET", kPull + query, {{"Accept", "text/event-stream"}}, ""};
  }
  bool HasConsumer() {
    return Eventually([this] { return broker.consumers() == 1; });
  }
  // All deliveries that were acknowledged.
  std::vector<std::string> Acks() const {
    std::vector<std::string> acks;
    for (const auto& request : broker.subscribe_requests()) {
      acks.insert(acks.end(), request.acks().begin(), request.acks().end());
    }
    return acks;
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, PullTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(PullTest, EventsComeAsServerSentEventsAndAreAcknowledged) {
  HttpStream stream(http_port(), Stream("?credit=7"));
  ASSERT_TRUE(HasConsumer());
  const auto first = broker.subscribe_requests().front();
  EXPECT_EQ(first.subscription(), "spaces/default/subscriptions/pulled");
  EXPECT_EQ(first.credit(), 7);
  EXPECT_TRUE(first.renew_credit());
  broker.Deliver(1, 2, R"({"n":1})");
  ASSERT_TRUE(stream.ReadUntil("id: d2\nevent: order.paid\ndata: {"));
  ASSERT_TRUE(stream.ReadUntil("\n\n"));
  EXPECT_THAT(stream.received(), HasSubstr("200 OK"));
  EXPECT_THAT(stream.received(), HasSubstr("text/event-stream"));
  EXPECT_THAT(stream.received(), HasSubstr("id: d1\nevent: order.paid\ndata: {"));
  EXPECT_THAT(stream.received(), HasSubstr(R"("data":{"n":1})"));
  EXPECT_TRUE(Eventually([this] { return Acks().size() == 2; }));
  EXPECT_EQ(Acks(), (std::vector<std::string>{"d1", "d2"}));
}

TEST_P(PullTest, NothingIsAcknowledgedWithoutAutoAck) {
  HttpStream stream(http_port(), Stream("?auto_ack=false"));
  ASSERT_TRUE(HasConsumer());
  broker.Deliver(1, 1);
  ASSERT_TRUE(stream.ReadUntil("id: d1"));
  broker.Deliver(2, 1);
  ASSERT_TRUE(stream.ReadUntil("id: d2"));
  EXPECT_TRUE(Acks().empty());
}

TEST_P(PullTest, AClientThatGoesAwayEndsItsConsumer) {
  HttpStream stream(http_port(), Stream("?auto_ack=false"));
  ASSERT_TRUE(HasConsumer());
  broker.Deliver(1, 1);
  ASSERT_TRUE(stream.ReadUntil("id: d1"));
  stream.Close();
  EXPECT_TRUE(Eventually([this] { return broker.consumers() == 0; }));
}

TEST_P(PullTest, AnErrorIsTheAnswerOrTheLastEvent) {
  const HttpAnswer missing =
      Get("/api/v1/spaces/default/subscriptions/missing:pull", {{"Accept", "text/event-stream"}});
  EXPECT_EQ(missing.status, 404) << missing.body;
  HttpStream stream(http_port(), Stream());
  ASSERT_TRUE(HasConsumer());
  broker.Deliver(1, 1);
  ASSERT_TRUE(stream.ReadUntil("id: d1"));
  broker.EndConsumers(absl::NotFoundError("it was deleted"));
  ASSERT_TRUE(stream.ReadToEnd());
  EXPECT_THAT(stream.received(), HasSubstr("event: error\ndata: {"));
  EXPECT_THAT(stream.received(), HasSubstr("it was deleted"));
}

TEST_P(PullTest, EveryEventArrivesInOrderAtASlowPace) {
  HttpStream stream(http_port(), Stream());
  ASSERT_TRUE(HasConsumer());
  const std::string data(100'000, '7');
  for (int i = 1; i <= 40; ++i) broker.Deliver(i, 1, data);
  ASSERT_TRUE(stream.ReadUntil("id: d40\n"));
  std::size_t at = 0;
  for (int i = 1; i <= 40; ++i) {
    at = stream.received().find("id: d" + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_P(PullTest, WhatIsAskedWronglyIsNamed) {
  EXPECT_EQ(Get(std::string(kPull) + "?credit=0").status, 400);
  EXPECT_EQ(Get(std::string(kPull) + "?credit=1025").status, 400);
  EXPECT_EQ(Get(std::string(kPull) + "?auto_ack=maybe").status, 400);
  const HttpAnswer unknown = Get(std::string(kPull) + "?speed=9");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr("speed"));
  EXPECT_EQ(Get(kPull, {{"Accept", "application/json"}}).status, 406);
  EXPECT_EQ(Get(kPull, {{"Host", "evil.example"}}).status, 403);
}

TEST_P(PullTest, PostPullsOnceAndRejects) {
  const HttpAnswer pulled = PostJson(kPull, R"({"maxEvents": 5, "wait": "1s"})");
  EXPECT_EQ(pulled.status, 200) << pulled.body;
  EXPECT_THAT(pulled.body, HasSubstr("spaces/default/subscriptions/pulled"));
  EXPECT_THAT(pulled.body, HasSubstr(R"("attempt":5)"));
  const HttpAnswer rejected = PostJson("/api/v1/spaces/default/subscriptions/pulled:nack",
                                       R"({"deliveryIds": ["d1", "d2"], "delay": "5s"})");
  EXPECT_EQ(rejected.status, 200) << rejected.body;
  EXPECT_THAT(rejected.body, HasSubstr(R"(["d1/5","d2/5"])"));
}

}  // namespace
}  // namespace penstock::gateway
