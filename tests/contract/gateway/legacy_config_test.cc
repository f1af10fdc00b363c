#include <gmock/gmock.h>

#include <string>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

class LegacyConfigTest : public GatewayTest {
 protected:
  LegacyConfigTest() { StartGateway(); }

  HttpAnswer Create(const std::string& collection, std::string body) {
    return Ask(
        app->config_port(),
        {"POST", "/v1/" + collection, {{"Content-Type", "application/json"}}, std::move(body)});
  }
  HttpAnswer Read(const std::string& target) {
    return Ask(app->config_port(), {"GET", "/v1/" + target, {}, ""});
  }
  HttpAnswer Delete(const std::string& target) {
    return Ask(app->config_port(), {"DELETE", "/v1/" + target, {}, ""});
  }
  HttpAnswer CreateFunction(const std::string& id) {
    return Create("functions",
                  R"({"functionId":")" + id + R"(","provider":{"type":"http","url":"http://x/"}})");
  }
};

TEST_F(LegacyConfigTest, KeepsFunctions) {
  const HttpAnswer created = CreateFunction("a");
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(created.body, R"({"functionId":"a","provider":{"type":"http","url":"http://x/"}})");
  EXPECT_EQ(CreateFunction("a").body, R"({"error":"Function \"a\" already registered."})");
  CreateFunction("b");
  EXPECT_EQ(Read("functions/a").body, created.body);
  EXPECT_EQ(Read("functions").body,
            R"({"functions":[{"functionId":"a","provider":{"type":"http","url":"http://x/"}},)"
            R"({"functionId":"b","provider":{"type":"http","url":"http://x/"}}]})");
  EXPECT_EQ(Delete("functions/a").status, 204);
  const HttpAnswer missing = Delete("functions/a");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, R"({"error":"Function \"a\" not found."})");
}

TEST_F(LegacyConfigTest, KeepsSubscriptions) {
  EXPECT_EQ(Create("subscriptions", R"({"event":"pageVisited","functionId":"f"})").body,
            R"({"subscriptionId":"pageVisited-f","event":"pageVisited","functionId":"f"})");
  EXPECT_EQ(Create("subscriptions", R"({"event":"pageVisited","functionId":"f"})").status, 400);
  EXPECT_EQ(Create("subscriptions", R"({"event":"e","functionId":"missing"})").body,
            R"({"error":"Function \"missing\" not found."})");
  EXPECT_THAT(Read("subscriptions").body, testing::HasSubstr("pageVisited-f"));
  EXPECT_EQ(Delete("subscriptions/pageVisited-f").status, 204);
  EXPECT_EQ(Delete("subscriptions/pageVisited-f").body,
            R"({"error":"Subscription \"pageVisited-f\" not found."})");
}

TEST_F(LegacyConfigTest, TheEventHttpAnswersRequests) {
  ASSERT_TRUE(WatchesRoutes());
  const HttpAnswer created = Create(
      "subscriptions", R"({"event":"http","method":"GET","path":"/hello","functionId":"f"})");
  EXPECT_EQ(created.status, 200);
  EXPECT_THAT(created.body, testing::HasSubstr(R"("subscriptionId":"http-GET-%2Fhello")"));
  EXPECT_EQ(Get("/hello").status, 200);
  EXPECT_EQ(Delete("subscriptions/http-GET-%2Fhello").status, 204);
  EXPECT_EQ(Get("/hello").status, 404);
}

TEST_F(LegacyConfigTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Create("functions", R"({"functionId":"f","provider":{"type":"awslambda"}})").status,
            400);
  EXPECT_EQ(Create("functions", "{").status, 400);
  EXPECT_EQ(Read("nothing").status, 404);
  EXPECT_EQ(Delete("functions").status, 405);
  EXPECT_EQ(Ask(app->config_port(), {"POST", "/v1/functions", {}, "{}"}).status, 415);
  EXPECT_EQ(
      Ask(app->config_port(), {"GET", "/v1/functions", {{"Host", "evil.example"}}, ""}).status,
      403);
}

TEST_F(LegacyConfigTest, NamesTheServiceThatIsLost) {
  StopManager();
  const HttpAnswer answer = Read("functions");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, testing::HasSubstr("function-manager"));
}

}  // namespace
}  // namespace penstock::gateway
