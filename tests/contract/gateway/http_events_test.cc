#include <gmock/gmock.h>

#include <map>
#include <string>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

internal::v1::Route MakeRoute(const std::string& id, const std::string& method,
                              const std::string& path, bool publish = false) {
  internal::v1::Route route;
  route.set_subscription("spaces/default/subscriptions/" + id);
  route.set_method(method);
  route.set_path(path);
  route.set_function("spaces/default/functions/web");
  route.set_publish(publish);
  return route;
}

class HttpEventsTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  HttpEventsTest() : GatewayTest(GetParam()) {}

  // Creates a synchronous subscription through the API.
  HttpAnswer Subscribe(const std::string& id, const std::string& path) {
    return PostJson("/api/v1/spaces/default/subscriptions?subscriptionId=" + id,
                    R"({"http":{"method":"GET","path":")" + path + R"("},"function":"web"})");
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, HttpEventsTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(HttpEventsTest, GivesTheFunctionTheRequest) {
  routes.Set(MakeRoute("s", "PUT", "/users/:id/*rest"));
  StartGateway();
  ASSERT_TRUE(WatchesRoutes());
  ASSERT_TRUE(Eventually([this] {
    return Ask(http_port(), {"PUT", "/users/1/probe", {}, ""}).status == 200;
  }));
  const HttpAnswer answer = Ask(http_port(), {"PUT",
                                              "/users/4%202/a/b?x=1&x=%20&y",
                                              {{"X-Custom", "v"},
                                               {"Content-Type", "text/plain"},
                                               {"Connection", "close, x-hop"},
                                               {"X-Hop", "no"}},
                                              "body"});
  EXPECT_EQ(answer.body, "body");
  const auto request = executor.last();
  EXPECT_EQ(request.name(), "spaces/default/functions/web");
  EXPECT_EQ(request.payload().content_type(), "text/plain");
  EXPECT_EQ(request.http().method(), "PUT");
  EXPECT_EQ(request.http().path(), "/users/4 2/a/b");
  EXPECT_EQ(request.http().params().at("id"), "4 2");
  EXPECT_EQ(request.http().params().at("rest"), "a/b");
  ASSERT_EQ(request.http().query_size(), 3);
  EXPECT_EQ(request.http().query(1).value(), " ");
  std::map<std::string, std::string> headers;
  for (const auto& header : request.http().headers()) headers[header.name()] = header.value();
  EXPECT_EQ(headers["x-custom"], "v");
  EXPECT_FALSE(headers.contains("x-hop"));
  EXPECT_FALSE(headers.contains("connection"));
}

TEST_P(HttpEventsTest, BytesThatAreNoTextDoNotEndTheCall) {
  routes.Set(MakeRoute("s", "GET", "/x/:id"));
  StartGateway();
  ASSERT_TRUE(Eventually([this] { return Get("/x/1").status == 200; }));
  EXPECT_EQ(Get("/x/%FF?q=%FE", {{"X-Bytes", "a\xFC"}}).status, 200);
  EXPECT_EQ(executor.last().http().params().at("id"), "\xEF\xBF\xBD");
}

TEST_P(HttpEventsTest, FollowsChanges) {
  StartGateway();
  ASSERT_TRUE(WatchesRoutes());
  EXPECT_TRUE(routes.saw_token());
  EXPECT_EQ(Get("/a").status, 404);
  routes.Set(MakeRoute("s", "GET", "/a"));
  EXPECT_TRUE(Eventually([this] { return Get("/a").status == 200; }));
  routes.Delete("spaces/default/subscriptions/s");
  EXPECT_TRUE(Eventually([this] { return Get("/a").status == 404; }));
}

TEST_P(HttpEventsTest, AChangeIsServedWhenItIsAnswered) {
  StartGateway();
  ASSERT_TRUE(WatchesRoutes());
  for (int i = 0; i < 10; ++i) {
    const std::string id = std::to_string(i);
    const HttpAnswer created = Subscribe("s" + id, "/path" + id);
    EXPECT_EQ(created.status, 200);
    EXPECT_EQ(created.Header("Penstock-Consistency"), "");
    EXPECT_EQ(Get("/path" + id).status, 200);
    EXPECT_EQ(
        Ask(http_port(), {"DELETE", "/api/v1/spaces/default/subscriptions/s" + id, {}, ""}).status,
        200);
    EXPECT_EQ(Get("/path" + id).status, 404);
  }
}

TEST_P(HttpEventsTest, SaysWhenItDoesNotHaveAChangeYet) {
  StartGateway();
  ASSERT_TRUE(WatchesRoutes());
  routes.Hold(true);
  const HttpAnswer created = Subscribe("s", "/late");
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(created.Header("Penstock-Consistency"), "pending");
  routes.Hold(false);
  EXPECT_TRUE(Eventually([this] { return Get("/late").status == 200; }));
}

TEST_P(HttpEventsTest, KnownRoutesWorkWithoutTheBroker) {
  routes.Set(MakeRoute("s", "GET", "/a"));
  routes.Set(MakeRoute("p", "GET", "/published", true));
  StartGateway();
  ASSERT_TRUE(Eventually([this] { return Get("/a").status == 200; }));
  StopBroker();
  EXPECT_EQ(Get("/a").status, 200);
  EXPECT_EQ(Publish("1").status, 503);
  // Where asynchronous subscriptions want the request, nothing runs that was not published.
  const std::size_t invoked = executor.invoked();
  const HttpAnswer answer = Get("/published");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("did not run"));
  EXPECT_EQ(executor.invoked(), invoked);
  routes.Delete("spaces/default/subscriptions/s");
  StartBroker();
  EXPECT_TRUE(Eventually([this] { return Get("/a").status == 404; }));
}

TEST_P(HttpEventsTest, PublishesFirstWhereSomebodyListens) {
  routes.Set(MakeRoute("s", "POST", "/hook/:id", true));
  StartGateway();
  ASSERT_TRUE(Eventually([this] { return Post("/hook/1", "x").status == 200; }));
  EXPECT_EQ(Post("/hook/7?a=b", "payload", {{"Event", "ignored"}}).body, "payload");
  ASSERT_THAT(broker.entries(), SizeIs(2));
  const auto event = broker.entries()[1].event();
  EXPECT_EQ(event.type(), "http.request");
  EXPECT_EQ(event.source(), "/spaces/default/http");
  EXPECT_THAT(event.binary_data(), HasSubstr(R"("params":{"id":"7"})"));
  EXPECT_THAT(event.binary_data(), HasSubstr(R"("body":"payload","isBase64":false)"));
}

TEST_P(HttpEventsTest, ReservedPathsAreNotForRoutes) {
  routes.Set(MakeRoute("a", "POST", "/*all"));
  StartGateway();
  ASSERT_TRUE(Eventually([this] { return Post("/anything", "").status == 200; }));
  const std::size_t invoked = executor.invoked();
  EXPECT_EQ(Post("/events", "x", {{"Event", "t"}}).status, 202);
  EXPECT_EQ(Post("/api/v1/x", "").status, 404);
  EXPECT_EQ(Post("/_x", "").status, 404);
  EXPECT_EQ(executor.invoked(), invoked);
  // A route goes before an emit.
  EXPECT_EQ(Post("/", "x", {{"Event", "t"}}).status, 200);
  EXPECT_THAT(broker.entries(), SizeIs(1));
}

}  // namespace
}  // namespace penstock::gateway
