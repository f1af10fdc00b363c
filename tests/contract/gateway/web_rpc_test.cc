// The suite's own services over Connect and gRPC-Web.
#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "libs/rpc/metadata.h"
#include "tests/contract/gateway/fixture.h"
#include "tests/contract/gateway/web_client.h"

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr char kGet[] = "/penstock.functions.v1.FunctionManagerService/GetFunction";
constexpr char kCreate[] = "/penstock.functions.v1.FunctionManagerService/CreateFunction";
constexpr char kUpload[] = "/penstock.functions.v1.FunctionManagerService/UploadSource";
constexpr char kTail[] = "/penstock.events.v1.EventBrokerService/TailEvents";
constexpr char kInvoke[] = "/penstock.executions.v1.FunctionExecutorService/Invoke";

HeaderList Type(const std::string& type) { return {{"Content-Type", type}}; }

class WebRpcTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  WebRpcTest() : GatewayTest(GetParam()) {}

  struct Refusal {
    std::string target;
    HeaderList headers;
    std::string body;
    int status;
    std::string text;
  };
  void ExpectRefusal(const Refusal& row) {
    const HttpAnswer got = Post(row.target, row.body, row.headers);
    EXPECT_EQ(got.status, row.status) << row.text << got.body;
    EXPECT_THAT(got.body, HasSubstr(row.text));
    EXPECT_EQ(row.status == 415, !got.Header("Accept-Post").empty()) << row.text;
    EXPECT_THAT(manager.calls.all(), IsEmpty()) << row.text;
  }
  // Makes a function of this id.
  HttpAnswer Create(const std::string& id, HeaderList headers = Type("application/json")) {
    return Post(kCreate,
                R"({"parent":"spaces/default","functionId":")" + id +
                    R"(","function":{"http":{"url":"http://x/"}}})",
                std::move(headers));
  }
  static std::string GetRequest(const std::string& id) {
    functions::v1::GetFunctionRequest request;
    request.set_name("spaces/default/functions/" + id);
    return request.SerializeAsString();
  }
  static std::string NameIn(const std::string& bytes) {
    functions::v1::Function function;
    EXPECT_TRUE(function.ParseFromString(bytes));
    return function.name();
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, WebRpcTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(WebRpcTest, AnswersConnectInJson) {
  StartGateway();
  const HttpAnswer created = Create("f");
  EXPECT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(created.Header("Content-Type"), "application/json");
  EXPECT_THAT(created.body, HasSubstr(R"("name":"spaces/default/functions/f")"));
  // Trailing metadata.
  EXPECT_EQ(created.Header("Trailer-Penstock-Revision"), "function-manager:1");
  EXPECT_FALSE(created.Header("X-Request-Id").empty());
}

TEST_P(WebRpcTest, AnswersConnectInBinary) {
  StartGateway();
  Create("f");
  const HttpAnswer got = Post(kGet, GetRequest("f"), Type("application/proto"));
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.Header("Content-Type"), "application/proto");
  EXPECT_EQ(NameIn(got.body), "spaces/default/functions/f");
}

TEST_P(WebRpcTest, AnswersErrorsWithTheirDetails) {
  StartGateway();
  for (const char* type : {"application/json", "application/proto"}) {
    const bool is_json = std::string(type) == "application/json";
    const HttpAnswer got =
        Post(kGet, is_json ? R"({"name":"spaces/default/functions/none"})" : GetRequest("none"),
             Type(type));
    EXPECT_EQ(got.status, 404);
    EXPECT_EQ(got.Header("Content-Type"), "application/json");
    EXPECT_THAT(got.body, StartsWith(R"({"code":"not_found","message":")"));
    EXPECT_THAT(got.body, HasSubstr(R"("details":[{"type":"google.rpc.ErrorInfo","value":")"));
    EXPECT_THAT(got.body, HasSubstr(R"("debug":{"reason":"FUNCTION_NOT_FOUND")"));
  }
}

TEST_P(WebRpcTest, StreamsOverConnect) {
  StartGateway();
  for (const char* type : {"application/connect+json", "application/connect+proto"}) {
    const bool is_json = std::string(type) == "application/connect+json";
    HttpStream stream(http_port(), {"POST", kTail, Type(type), Framed(is_json ? "{}" : "")});
    ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
    broker.Append(1);
    broker.Append(2);
    events::v1::StoredEvent event;
    event.set_sequence(2);
    ASSERT_TRUE(stream.ReadUntil(is_json ? Framed(R"({"sequence":"2"})")
                                         : Framed(event.SerializeAsString())))
        << stream.received();
    broker.EndTails(absl::OkStatus());
    ASSERT_TRUE(stream.ReadToEnd());
    EXPECT_THAT(stream.received(), HasSubstr(Framed("{}", 2)));
    EXPECT_THAT(stream.received(), HasSubstr(std::string("Content-Type: ") + type));
    ASSERT_TRUE(Eventually([this] { return broker.tails() == 0; }));
  }
}

TEST_P(WebRpcTest, EndsAStreamOverConnectWithItsError) {
  StartGateway();
  const HttpAnswer got = Post(kTail, Framed(R"({"type":"bad"})"), Type("application/connect+json"));
  EXPECT_EQ(got.status, 200);
  const auto frames = FramesIn(got.body);
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].flags, 2);
  EXPECT_THAT(frames[0].message, StartsWith(R"({"error":{"code":"invalid_argument")"));
  EXPECT_THAT(frames[0].message, HasSubstr(R"("type":"google.rpc.BadRequest")"));
}

TEST_P(WebRpcTest, AnswersGrpcWeb) {
  StartGateway();
  Create("f");
  for (const char* type : {"application/grpc-web", "application/grpc-web+proto"}) {
    const HttpAnswer got = Post(kGet, Framed(GetRequest("f")), Type(type));
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.Header("Content-Type"), "application/grpc-web+proto");
    const auto frames = FramesIn(got.body);
    ASSERT_THAT(frames, SizeIs(2));
    EXPECT_EQ(NameIn(frames[0].message), "spaces/default/functions/f");
    EXPECT_EQ(frames[1].flags, 0x80);
    EXPECT_THAT(frames[1].message, StartsWith("grpc-status: 0\r\n"));
  }
}

TEST_P(WebRpcTest, AnswersGrpcWebText) {
  StartGateway();
  Create("f");
  const std::string body = Framed(GetRequest("f"));
  // In two pieces with padding of their own.
  const HttpAnswer got = Post(kGet, ToText(body.substr(0, 4)) + ToText(body.substr(4)),
                              Type("application/grpc-web-text"));
  EXPECT_EQ(got.Header("Content-Type"), "application/grpc-web-text+proto");
  const auto frames = FramesIn(FromText(got.body));
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(NameIn(frames[0].message), "spaces/default/functions/f");
  EXPECT_EQ(frames[1].flags, 0x80);
}

TEST_P(WebRpcTest, AnswersInTextWhereItIsAccepted) {
  StartGateway();
  const HttpAnswer got =
      Post(kGet, Framed(GetRequest("none")),
           {{"Content-Type", "application/grpc-web"}, {"Accept", "application/grpc-web-text"}});
  EXPECT_EQ(got.Header("Content-Type"), "application/grpc-web-text+proto");
  EXPECT_THAT(FramesIn(FromText(got.body)).at(0).message, StartsWith("grpc-status: 5\r\n"));
}

TEST_P(WebRpcTest, EndsGrpcWebWithTheStatus) {
  StartGateway();
  const HttpAnswer got = Post(kGet, Framed(GetRequest("none")), Type("application/grpc-web"));
  EXPECT_EQ(got.status, 200);
  const auto frames = FramesIn(got.body);
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].flags, 0x80);
  EXPECT_THAT(frames[0].message, StartsWith("grpc-status: 5\r\ngrpc-message: "));
  EXPECT_THAT(frames[0].message, HasSubstr("\r\ngrpc-status-details-bin: "));
}

TEST_P(WebRpcTest, PassesHeadersOnButNotWhatOnlyServicesMaySay) {
  StartGateway();
  Post(kGet, GetRequest("none"),
       {{"Content-Type", "application/proto"},
        {"X-Mine", "1"},
        {"x-bytes-bin", "AP8"},
        {"x-twice-bin", "AQ==, Ag"},
        {"x-latin", "caf\xE9"},
        {"Connection", "keep-alive, x-hop"},
        {"x-hop", "1"},
        {"Penstock-Min-Revision", "function-manager:1"},
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"penstock-principal", "root"},
        {"penstock-peer-token", "guess"}});
  const SeenCall seen = manager.calls.last();
  EXPECT_THAT(seen.Metadata("x-mine"), ElementsAre("1"));
  EXPECT_THAT(seen.Metadata("x-bytes-bin"), ElementsAre(std::string("\0\xFF", 2)));
  EXPECT_THAT(seen.Metadata("x-twice-bin"), ElementsAre("\x01", "\x02"));
  EXPECT_THAT(seen.Metadata("penstock-min-revision"), ElementsAre("function-manager:1"));
  EXPECT_THAT(seen.Metadata("traceparent"), SizeIs(1));
  for (const char* key :
       {"x-latin", "x-hop", "connection", "host", "penstock-principal", "penstock-peer-token"}) {
    EXPECT_THAT(seen.Metadata(key), IsEmpty()) << key;
  }
  const HttpAnswer bad =
      Post(kGet, GetRequest("none"), {{"Content-Type", "application/proto"}, {"x-bad-bin", "*"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body, HasSubstr("x-bad-bin: expected base64"));
}

TEST_P(WebRpcTest, EndsACallAtItsDeadline) {
  executor.SetAnswer(nullptr);
  StartGateway();
  const HttpAnswer connect =
      Post(kInvoke, R"({"name":"spaces/default/functions/f"})",
           {{"Content-Type", "application/json"}, {"Connect-Timeout-Ms", "100"}});
  EXPECT_EQ(connect.status, 504);
  EXPECT_THAT(connect.body, StartsWith(R"({"code":"deadline_exceeded")"));
  executions::v1::InvokeRequest request;
  request.set_name("spaces/default/functions/f");
  const HttpAnswer web = Post(kInvoke, Framed(request.SerializeAsString()),
                              {{"Content-Type", "application/grpc-web"}, {"grpc-timeout", "100m"}});
  EXPECT_THAT(FramesIn(web.body).at(0).message, StartsWith("grpc-status: 4\r\n"));
  EXPECT_TRUE(Eventually([this] { return executor.cancelled() == 2; }));
}

TEST_P(WebRpcTest, EndsTheCallWhenTheClientGoesAway) {
  StartGateway();
  HttpStream stream(http_port(), {"POST", kTail, Type("application/grpc-web"), Framed("")});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  stream.Close();
  EXPECT_TRUE(Eventually([this] { return broker.tails() == 0; }));
}

TEST_P(WebRpcTest, EndsStreamsWhenTheGatewayStops) {
  StartGateway();
  HttpStream stream(http_port(), {"POST", kTail, Type("application/connect+json"), Framed("{}")});
  ASSERT_TRUE(Eventually([this] { return broker.tails() == 1; }));
  EXPECT_TRUE(app->Stop(std::chrono::seconds(5)).ok());
  ASSERT_TRUE(stream.ReadToEnd());
  EXPECT_THAT(stream.received(), HasSubstr(R"({"error":{"code":"unavailable")"));
}

TEST_P(WebRpcTest, NamesTheServiceThatIsLost) {
  StopManager();
  StartGateway();
  const HttpAnswer got = Post(kGet, GetRequest("f"), Type("application/proto"));
  EXPECT_EQ(got.status, 503);
  EXPECT_THAT(got.body, HasSubstr("the function-manager at "));
}

TEST_P(WebRpcTest, PassesLargeMessagesOn) {
  config.http_limits.body_bytes_max = 6 << 20;
  StartGateway();
  executions::v1::InvokeRequest request;
  request.set_name("spaces/default/functions/f");
  request.mutable_payload()->set_data(std::string(5 << 20, 'x'));
  const HttpAnswer got = Post(kInvoke, request.SerializeAsString(), Type("application/proto"));
  EXPECT_EQ(got.status, 200) << got.body.substr(0, 200);
  executions::v1::InvokeResponse response;
  ASSERT_TRUE(response.ParseFromString(got.body));
  EXPECT_EQ(response.payload().data().size(), 5u << 20);
}

TEST_P(WebRpcTest, AsksForAKey) {
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = folder.File("keys");
  std::ofstream(config.auth_keys_file) << "ann:0123456789abcdef\n";
  StartGateway();
  const HttpAnswer connect = Create("f");
  EXPECT_EQ(connect.status, 401);
  EXPECT_THAT(connect.body, StartsWith(R"({"code":"unauthenticated")"));
  const HttpAnswer web = Post(kGet, Framed(""), Type("application/grpc-web"));
  EXPECT_THAT(FramesIn(web.body).at(0).message, StartsWith("grpc-status: 16\r\n"));
  const HttpAnswer with_key = Create(
      "f", {{"Content-Type", "application/json"}, {"Authorization", "Bearer 0123456789abcdef"}});
  EXPECT_EQ(with_key.status, 200) << with_key.body;
  const SeenCall seen = manager.calls.last();
  EXPECT_THAT(seen.Metadata(rpc::kPrincipalKey), ElementsAre("ann"));
  EXPECT_THAT(seen.Metadata("authorization"), IsEmpty());
}

TEST_P(WebRpcTest, RefusesCallsItCannotMake) {
  StartGateway();
  const HeaderList json = Type("application/json");
  const HeaderList proto = Type("application/proto");
  for (const Refusal& row : {
           Refusal{"/penstock.internal.v1.RouteService/WatchRoutes",
                   Type("application/connect+json"), Framed("{}"), 200,
                   R"("code":"unimplemented","message":"Unknown method")"},
           {"/penstock.functions.v1.FunctionManagerService/No", proto, "", 501, "Unknown method"},
           {"/acme.v1.No/No",
            {{"Content-Type", "application/proto"}, {"Connect-Protocol-Version", "1"}},
            "",
            501,
            "Unknown method"},
           {kGet,
            {{"Content-Type", "text/plain"}, {"Connect-Protocol-Version", "1"}},
            "x",
            415,
            "codec"},
           {kGet, Type("text/plain"), "x", 415, "codec"},
           {kGet, Type("application/connect+xml"), "x", 415, "codec"},
           {kGet, Type("application/grpc-web+json"), "x", 415, "codec"},
           {kGet, Type("application/connect+json"), "x", 415, "one message"},
           {kTail, json, "{}", 415, "a stream"},
           {kGet,
            {{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "2"}},
            "{}",
            400,
            R"(Connect-Protocol-Version: expected 1, got \"2\")"},
           {kGet,
            {{"Content-Type", "application/json"}, {"Connect-Timeout-Ms", "1s"}},
            "{}",
            400,
            "Connect-Timeout-Ms: expected milliseconds"},
           {kGet,
            {{"Content-Type", "application/grpc-web"}, {"grpc-timeout", "1"}},
            "",
            200,
            "grpc-timeout:"},
       }) {
    ExpectRefusal(row);
  }
}

TEST_P(WebRpcTest, RefusesMessagesItCannotRead) {
  StartGateway();
  const HeaderList json = Type("application/json");
  for (const Refusal& row : {
           Refusal{kGet,
                   {{"Content-Type", "application/json"}, {"Content-Encoding", "br"}},
                   "{}",
                   501,
                   "supported encodings are gzip and identity"},
           {kTail,
            {{"Content-Type", "application/connect+json"}, {"Connect-Content-Encoding", "zstd"}},
            Framed("{}"),
            200,
            "supported encodings are gzip and identity"},
           {kGet,
            {{"Content-Type", "application/grpc-web"}, {"grpc-encoding", "br"}},
            Framed(""),
            200,
            "supported encodings are gzip and identity"},
           {kGet, json, R"({"name":1})", 400, "name"},
           {kGet, json, R"({"nme":"x"})", 400, "nme"},
           {kGet, json, "", 400, "invalid_argument"},
           {kTail, Type("application/connect+json"), Framed("{}") + Framed("{}"), 200,
            "bytes follow the first message"},
           {kTail, Type("application/connect+json"), Framed("{}").substr(0, 6), 200,
            "ends inside a message"},
           {kTail, Type("application/connect+json"), Framed("{}", 1), 200, "\"internal\""},
           {kTail, Type("application/connect+json"), Framed("{}", 2), 200, "flags 0x02"},
           {kGet, Type("application/grpc-web-text"), "*", 200, ""},
           {kUpload, Type("application/connect+json"), Framed("{}"), 200,
            "call it on the gRPC port"},
       }) {
    ExpectRefusal(row);
  }
}

TEST_P(WebRpcTest, LeavesOtherRequestsAlone) {
  StartGateway();
  // A path like a method's, in JSON: it may be anybody's.
  EXPECT_THAT(PostJson("/my.shop/orders", "{}").body, HasSubstr("no such path or route"));
  EXPECT_THAT(Post("/a/b", "x", Type("application/proto")).body,
              HasSubstr("no such path or route"));
  EXPECT_THAT(Post("/a/b", "x", Type("text/plain")).body, HasSubstr("no such path or route"));
  EXPECT_EQ(Get(kGet).status, 404);
  EXPECT_EQ(Get(std::string(kGet) + "?encoding=json").status, 404);
  // A parameter of that name alone makes nobody's path one of Connect's.
  EXPECT_THAT(Get("/hooks/zoom?connect=1").body, HasSubstr("no such path or route"));
  EXPECT_THAT(Get("/hooks/zoom?connect=v1").body, HasSubstr("encoding"));
}

TEST_P(WebRpcTest, LetsPagesOfAllowedOriginsCall) {
  config.cors_origins = {"https://app.example"};
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = folder.File("keys");
  std::ofstream(config.auth_keys_file) << "ann:0123456789abcdef\n";
  StartGateway();
  const auto preflight = [this](const std::string& origin) {
    return Ask(http_port(), {"OPTIONS",
                             kCreate,
                             {{"Origin", origin},
                              {"Access-Control-Request-Method", "POST"},
                              {"Access-Control-Request-Headers", "content-type"}},
                             ""});
  };
  const HttpAnswer asked = preflight("https://app.example");
  EXPECT_EQ(asked.status, 204);
  EXPECT_EQ(asked.Header("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_THAT(asked.Header("Access-Control-Allow-Methods"), HasSubstr("POST"));
  EXPECT_THAT(asked.Header("Access-Control-Allow-Headers"), HasSubstr("Connect-Protocol-Version"));
  EXPECT_EQ(asked.Header("Vary"), "Origin");
  const HttpAnswer other = preflight("https://evil.example");
  EXPECT_EQ(other.status, 401);
  EXPECT_EQ(other.Header("Access-Control-Allow-Origin"), "");
  const HeaderList page = {{"Content-Type", "application/json"},
                           {"Authorization", "Bearer 0123456789abcdef"},
                           {"Origin", "https://app.example"},
                           {"Sec-Fetch-Site", "cross-site"}};
  const HttpAnswer created = Create("f", page);
  EXPECT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(created.Header("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_THAT(created.Header("Access-Control-Expose-Headers"), HasSubstr("Grpc-Status"));
  // The REST API and streams alike.
  const HttpAnswer rest = Get("/api/v1/spaces/default/functions/f", page);
  EXPECT_EQ(rest.status, 200) << rest.body;
  EXPECT_EQ(rest.Header("Access-Control-Allow-Origin"), "https://app.example");
}

TEST_P(WebRpcTest, KeepsPagesOfOtherOriginsAway) {
  StartGateway();
  const HttpAnswer got = Create("f", {{"Content-Type", "application/json"},
                                      {"Host", "localhost"},
                                      {"Origin", "https://evil.example"}});
  EXPECT_EQ(got.status, 403);
  EXPECT_THAT(got.body, HasSubstr("Origin: a page of another origin"));
}

}  // namespace
}  // namespace penstock::gateway
