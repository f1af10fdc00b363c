#include <gmock/gmock.h>

#include <string>

#include "libs/base/status.h"
#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kFunctions[] = "/api/v1/spaces/default/functions";

class ApiTest : public GatewayTest {
 protected:
  HttpAnswer CreateFunction(const std::string& id) {
    return PostJson(std::string(kFunctions) + "?functionId=" + id,
                    R"({"http":{"url":"http://x/"}})");
  }
};

TEST_F(ApiTest, TranscodesReadsAndWrites) {
  StartGateway();
  const HttpAnswer created = CreateFunction("f");
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(created.Header("Content-Type"), "application/json");
  EXPECT_EQ(created.body, R"({"name":"spaces/default/functions/f","http":{"url":"http://x/"}})");
  EXPECT_EQ(Get(std::string(kFunctions) + "/f").body, created.body);
  EXPECT_THAT(Get(kFunctions).body, HasSubstr(R"({"functions":[{"name")"));
  const HttpAnswer patched = Ask(http_port(), {"PATCH",
                                               std::string(kFunctions) + "/f",
                                               {{"Content-Type", "application/json"}},
                                               R"({"description":"d","timeout":"3s"})"});
  EXPECT_THAT(patched.body, HasSubstr("description;timeout;"));
  const HttpAnswer deleted = Ask(http_port(), {"DELETE", std::string(kFunctions) + "/f", {}, ""});
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.body, "{}");
}

TEST_F(ApiTest, SaysWhichFieldIsWrong) {
  StartGateway();
  const HttpAnswer unknown =
      PostJson(std::string(kFunctions) + "?functionId=f", R"({"http":{"link":"x"}})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr(R"("field":"http.link")"));
  EXPECT_THAT(Get(std::string(kFunctions) + "?pageSise=1").body, HasSubstr("pageSise"));
  EXPECT_THAT(PostJson(kFunctions, "{").body, HasSubstr("line 1"));
  std::string deep;
  for (int i = 0; i < 50'000; ++i) deep += '[';
  EXPECT_EQ(PostJson(kFunctions, deep).status, 400);
}

TEST_F(ApiTest, PassesErrorsOnWithTheirDetails) {
  StartGateway();
  const HttpAnswer answer = Get(std::string(kFunctions) + "/none");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr(R"("reason":"FUNCTION_NOT_FOUND")"));
  CreateFunction("f");
  EXPECT_EQ(CreateFunction("f").status, 409);
}

TEST_F(ApiTest, KnowsItsPathsAndMethods) {
  StartGateway();
  EXPECT_EQ(Get("/api/v1/nothing").status, 404);
  EXPECT_EQ(Get("/api").status, 404);
  const HttpAnswer answer = Ask(http_port(), {"PUT", kFunctions, {}, ""});
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.Header("Allow"), "GET, POST");
  EXPECT_EQ(Get("/").status, 200);
  EXPECT_EQ(Get("/nothing").status, 404);
  const HttpAnswer head = Ask(http_port(), {"HEAD", kFunctions, {}, ""});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(ApiTest, WantsJson) {
  StartGateway();
  const std::string target = std::string(kFunctions) + "?functionId=f";
  EXPECT_EQ(Post(target, "{}", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(Post(target, "{}", {{"Content-Type", "application/x-www-form-urlencoded"}}).status,
            415);
  EXPECT_EQ(Post(target, "{}").status, 415);
  EXPECT_THAT(manager.calls.all(), IsEmpty());
}

TEST_F(ApiTest, AnswersNoForeignPage) {
  StartGateway();
  EXPECT_EQ(Get(kFunctions, {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(Get(kFunctions, {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(Get(kFunctions, {{"Sec-Fetch-Site", "cross-site"}}).status, 403);
  EXPECT_EQ(Get("/events/1", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(Post(std::string(kFunctions) + "/f:invoke", "x", {{"Origin", "null"}}).status, 403);
  EXPECT_EQ(executor.invoked(), 0u);
  // Events may come from anywhere.
  EXPECT_EQ(Post("/events", "x", {{"Event", "t"}, {"Host", "hooks.example"}}).status, 202);
}

TEST_F(ApiTest, ReadsEvents) {
  StartGateway();
  EXPECT_THAT(Get("/events/abc").body, HasSubstr("|abc"));
  EXPECT_THAT(Get("/spaces/blue/events/abc").body, HasSubstr("blue|abc"));
  EXPECT_EQ(Get("/events/missing").status, 404);
}

TEST_F(ApiTest, NamesTheServiceThatIsLost) {
  StopManager();
  StartGateway();
  const HttpAnswer answer = Get(kFunctions);
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("function-manager"));
  EXPECT_EQ(Publish("1").status, 202);
  EXPECT_EQ(Get("/events/abc").status, 200);
  StartManager();
  EXPECT_TRUE(Eventually([this] { return Get(kFunctions).status == 200; }));
}

TEST_F(ApiTest, RemembersRevisions) {
  StartGateway();
  EXPECT_EQ(CreateFunction("a").Header("Penstock-Revision"), "function-manager:1");
  CreateFunction("b");
  Get(std::string(kFunctions) + "/a");
  EXPECT_THAT(manager.calls.last().Metadata("penstock-min-revision"),
              ElementsAre("function-manager:2"));
  // Of another space nothing is known, but for what the client says.
  Get("/api/v1/spaces/blue/functions/a");
  EXPECT_THAT(manager.calls.last().Metadata("penstock-min-revision"), IsEmpty());
  Get("/api/v1/spaces/blue/functions/a", {{"Penstock-Revision", "function-manager:7"}});
  EXPECT_THAT(manager.calls.last().Metadata("penstock-min-revision"),
              ElementsAre("function-manager:7"));
  Post(std::string(kFunctions) + "/a:invoke", "x");
  EXPECT_THAT(executor.calls.last().Metadata("penstock-min-revision"),
              ElementsAre("function-manager:2"));
  EXPECT_EQ(Get(kFunctions, {{"Penstock-Revision", "nonsense"}}).status, 400);
}

TEST_F(ApiTest, PassesTheTraceAndTheRequestIdOn) {
  StartGateway();
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const HttpAnswer answer =
      Get(std::string(kFunctions) + "/a", {{"traceparent", trace}, {"X-Request-Id", "mine"}});
  EXPECT_THAT(manager.calls.last().Metadata("traceparent"), ElementsAre(trace));
  EXPECT_EQ(answer.Header("X-Request-Id"), "mine");
  Get(std::string(kFunctions) + "/a", {{"traceparent", "garbage"}});
  EXPECT_THAT(manager.calls.last().Metadata("traceparent"), IsEmpty());
}

TEST_F(ApiTest, PassesHeadersOnAsMetadata) {
  config.request_headers = {"X-Tenant", "Penstock-Principal"};
  StartGateway();
  Get(std::string(kFunctions) + "/a", {{"Grpc-Metadata-Color", "red"},
                                       {"grpc-metadata-color", "blue"},
                                       {"Grpc-Metadata-Key-Bin", "AAE="},
                                       {"x-tenant", "t1"},
                                       {"Penstock-Principal", "root"},
                                       {"Grpc-Metadata-Penstock-Principal", "root"},
                                       {"Grpc-Metadata-Grpc-Timeout", "1S"},
                                       {"Other", "x"}});
  const SeenCall seen = manager.calls.last();
  EXPECT_THAT(seen.Metadata("color"), ElementsAre("red", "blue"));
  EXPECT_THAT(seen.Metadata("key-bin"), ElementsAre(std::string("\0\1", 2)));
  EXPECT_THAT(seen.Metadata("x-tenant"), ElementsAre("t1"));
  EXPECT_THAT(seen.Metadata("penstock-principal"), IsEmpty());
  EXPECT_THAT(seen.Metadata("other"), IsEmpty());
  const std::size_t calls = manager.calls.all().size();
  EXPECT_EQ(Get(kFunctions, {{"Grpc-Metadata-Key-Bin", "$"}}).status, 400);
  EXPECT_EQ(Get(kFunctions, {{"Grpc-Metadata-", "x"}}).status, 400);
  EXPECT_THAT(Get(kFunctions, {{"Grpc-Timeout", "soon"}}).body, HasSubstr("Grpc-Timeout"));
  EXPECT_EQ(manager.calls.all().size(), calls);
}

TEST_F(ApiTest, StreamsJsonLines) {
  StartGateway();
  HttpStream stream(http_port(), {"GET", "/events:tail", {}, ""});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  ASSERT_TRUE(stream.ReadUntil("application/x-ndjson"));
  broker.Append(5);
  EXPECT_TRUE(stream.ReadUntil("{\"sequence\":\"5\"}\n"));
  broker.EndTails(absl::UnavailableError("stopping"));
  EXPECT_TRUE(stream.ReadToEnd());
  EXPECT_THAT(stream.received(), HasSubstr(R"({"error":{"code":14)"));
}

TEST_F(ApiTest, StreamsServerSentEvents) {
  StartGateway();
  HttpStream stream(http_port(),
                    {"GET", "/spaces/blue/events:tail", {{"Accept", "text/event-stream"}}, ""});
  ASSERT_TRUE(stream.ReadUntil("text/event-stream"));
  for (int i = 1; i <= 50; ++i) broker.Append(i);
  EXPECT_TRUE(stream.ReadUntil("data: {\"sequence\":\"50\"}\n\n"));
  broker.EndTails(absl::OkStatus());
  EXPECT_TRUE(stream.ReadToEnd());
  EXPECT_THAT(stream.received(), testing::EndsWith("0\r\n\r\n"));
}

// More than the stream may hold waits when the reason comes.
TEST_F(ApiTest, ASlowReaderLearnsWhyAStreamEnded) {
  StartGateway();
  HttpStream stream(http_port(), {"GET", "/events:tail", {}, ""});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  ASSERT_TRUE(stream.ReadUntil("application/x-ndjson"));
  broker.Append(1, 7'000'000);
  broker.EndTails(absl::UnavailableError("stopping"));
  EXPECT_TRUE(Eventually([this] { return broker.tails() == 0; }));
  EXPECT_TRUE(stream.ReadToEnd());
  EXPECT_GT(stream.received().size(), 7'000'000u);
  EXPECT_THAT(stream.received().substr(7'000'000), HasSubstr(R"({"error":{"code":14)"));
}

TEST_F(ApiTest, AnErrorBeforeTheFirstMessageIsTheAnswer) {
  StartGateway();
  const HttpAnswer answer = Get("/events:tail?type=bad");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr(R"("field":"type")"));
}

TEST_F(ApiTest, EndsTheCallWhenTheClientLeavesAStream) {
  StartGateway();
  HttpStream stream(http_port(), {"GET", "/events:tail", {}, ""});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  stream.Close();
  EXPECT_TRUE(Eventually([this] { return broker.tails() == 0; }));
}

TEST_F(ApiTest, WantsAKeyWhereTheConfigurationSaysSo) {
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = folder.File("keys");
  std::FILE* const file = std::fopen(config.auth_keys_file.c_str(), "w");
  std::fputs("ann:0123456789abcdef\n", file);
  std::fclose(file);
  StartGateway();
  EXPECT_EQ(Get(kFunctions).status, 401);
  EXPECT_EQ(Publish("1").status, 401);
  const HttpAnswer created =
      Ask(http_port(),
          {"POST",
           std::string(kFunctions) + "?functionId=f",
           {{"Authorization", "Bearer 0123456789abcdef"}, {"Content-Type", "application/json"}},
           "{}"});
  EXPECT_EQ(created.status, 200);
  EXPECT_THAT(created.body, HasSubstr(R"("creator":"ann")"));
  // The principal is believed only next to the token that services share.
  EXPECT_THAT(manager.calls.last().Metadata("penstock-peer-token"), testing::SizeIs(1));
}

}  // namespace
}  // namespace penstock::gateway
