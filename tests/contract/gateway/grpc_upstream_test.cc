#include <gmock/gmock.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>
#include <grpcpp/create_channel.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/h2/client.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/status.h"
#include "tests/contract/gateway/fixture.h"
#include "tests/contract/gateway/scripted_upstream.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class GrpcUpstreamTest : public GatewayTest {
 protected:
  GrpcUpstreamTest() {
    GrpcUpstream entry;
    entry.name = "acme";
    entry.addresses = {upstream.address()};
    entry.methods = {"acme.v1"};
    config.grpc.upstreams.push_back(entry);
  }
  ~GrpcUpstreamTest() override { StopGateway(); }

  std::shared_ptr<grpc::Channel> Connect(const std::string& authority = "") {
    if (app == nullptr) StartGateway();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(16 << 20);
    // Else the client's own window grows, and says nothing of the gateway's.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    if (!authority.empty()) arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, authority);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(app->grpc_port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  // The status of a call with one message.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                           const std::string& message = "m") {
    AnyCall call(channel, method);
    call.Start();
    call.Write(message);
    call.WritesDone();
    call.Read();
    return call.Finish();
  }

  ScriptedUpstream upstream;
};

TEST_F(GrpcUpstreamTest, PassesMessagesAndMetadataBothWays) {
  const std::string binary("\0\xFF\x80 x", 5);
  AnyCall call(Connect(), "/acme.v1.Any/Echo",
               {{"x-up", "1, 2"}, {"x-up-bin", binary}, {"user", "u"}});
  call.Start();
  for (const std::string& message : {std::string("a"), std::string(), std::string(100'000, 'b')}) {
    ASSERT_TRUE(call.Write(message));
    EXPECT_EQ(call.Read(), message);
  }
  ASSERT_TRUE(call.WritesDone());
  EXPECT_FALSE(call.Read());
  const grpc::Status status = call.Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Value(call.context.GetServerInitialMetadata(), "x-down"), "1, 2");
  EXPECT_EQ(Value(call.context.GetServerInitialMetadata(), "x-down-bin"), binary);
  EXPECT_EQ(Value(call.context.GetServerTrailingMetadata(), "x-down"), "1, 2!");
  EXPECT_EQ(Value(call.context.GetServerTrailingMetadata(), "x-down-bin"), binary + "!");
  EXPECT_THAT(upstream.metadata(), Contains(testing::Pair("user", "u")));
}

TEST_F(GrpcUpstreamTest, PassesCompressedMessagesAsTheyAre) {
  AnyCall call(Connect(), "/acme.v1.Any/Echo");
  call.context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  call.Start();
  const std::string message(200'000, 'z');
  ASSERT_TRUE(call.Write(message));
  EXPECT_EQ(call.Read(), message);
  call.WritesDone();
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(GrpcUpstreamTest, PassesAStatusWithDetailsWithoutAHeadOfItsOwn) {
  AnyCall call(Connect(), "/acme.v1.Any/Fail");
  call.Start();
  EXPECT_FALSE(call.Read());
  const absl::Status status = rpc::FromGrpcStatus(call.Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()), "no \xC3\xA9% today");
  EXPECT_EQ(ReasonOf(status), "SCRIPTED");
}

TEST_F(GrpcUpstreamTest, EndsTheCallWhenTheServerEndsItFirst) {
  AnyCall call(Connect(), "/acme.v1.Any/Quit");
  call.Start();
  ASSERT_TRUE(call.Write("x"));
  EXPECT_FALSE(call.Read());
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(GrpcUpstreamTest, PassesTheDeadlineAndEndsTheCallAtIt) {
  AnyCall call(Connect(), "/acme.v1.Any/Hold", {}, milliseconds(300));
  call.Start();
  call.Write("x");
  EXPECT_FALSE(call.Read());
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(upstream.time_left());
  EXPECT_LE(*upstream.time_left(), milliseconds(300));
  EXPECT_TRUE(Eventually([this] { return upstream.open == 0; }));
}

TEST_F(GrpcUpstreamTest, PassesCancellation) {
  AnyCall call(Connect(), "/acme.v1.Any/Hold");
  call.Start();
  ASSERT_TRUE(Eventually([this] { return upstream.open == 1; }));
  call.context.TryCancel();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([this] { return upstream.cancelled == 1; }));
}

TEST_F(GrpcUpstreamTest, CarriesLargeMessages) {
  AnyCall call(Connect(), "/acme.v1.Any/Echo");
  call.Start();
  std::string message;
  while (message.size() < 8u << 20) message += std::to_string(message.size());
  ASSERT_TRUE(call.Write(message));
  const auto echo = call.Read();
  ASSERT_TRUE(echo);
  EXPECT_TRUE(*echo == message);
  call.WritesDone();
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(GrpcUpstreamTest, ASlowReaderStopsItsSenderAndNobodyElse) {
  const auto channel = Connect();
  AnyCall slow(channel, "/acme.v1.Any/Flood");
  slow.Start();
  ASSERT_TRUE(slow.Read());
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(Call(channel, "/acme.v1.Any/Echo", std::string(10'000, 'x')).ok());
  }
  // The windows of client and gateway, and what kernel and server hold.
  EXPECT_LT(upstream.bytes_flooded, 4u << 20);
  slow.context.TryCancel();
  EXPECT_TRUE(Eventually([this] { return upstream.open == 0; }));
}

TEST_F(GrpcUpstreamTest, AnswersUnknownMethodForWhatIsDeniedOrHasNoServer) {
  config.grpc.deny = {"acme.v1.Any/Hold", "acme.*.Secret/*"};
  const auto channel = Connect();
  for (const char* method : {"/acme.v1.Any/Hold", "/acme.v1.Secret/Echo", "/acme.v2.Any/Echo",
                             "/acme.v1beta.Any/Echo", "/penstock.internal.v1.RouteService/Watch"}) {
    const grpc::Status status = Call(channel, method);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
    EXPECT_EQ(status.error_message(), "Unknown method") << method;
  }
  EXPECT_TRUE(Call(channel, "/acme.v1.Any/Echo").ok());
}

TEST_F(GrpcUpstreamTest, AnAllowListShutsOutTheRest) {
  config.grpc.allow = {"acme.v1.Any/Echo"};
  const auto channel = Connect();
  EXPECT_TRUE(Call(channel, "/acme.v1.Any/Echo").ok());
  EXPECT_EQ(Call(channel, "/acme.v1.Any/Quit").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call(channel, "/penstock.functions.v1.FunctionManagerService/GetFunction").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcUpstreamTest, RoutesByAuthorityBeforeTheSuitesOwnServices) {
  GrpcUpstream entry;
  entry.name = "other";
  entry.addresses = {upstream.address()};
  entry.authorities = {"*.acme.test"};
  config.grpc.upstreams = {entry};
  const std::string method = "/penstock.functions.v1.FunctionManagerService/Echo";
  EXPECT_TRUE(Call(Connect("API.acme.test:8082"), method).ok());
  EXPECT_EQ(Call(Connect("acme.test"), method).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcUpstreamTest, KeepsWhatOnlyServicesMaySayFromAndToOthers) {
  AnyCall call(Connect(), "/acme.v1.Any/Quit",
               {{"penstock-principal", "root"}, {"penstock-peer-token", "guess"}});
  call.Start();
  call.Write("x");
  call.Finish();
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("penstock-principal"))));
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("penstock-peer-token"))));
}

TEST_F(GrpcUpstreamTest, KeepsTheKeyOfTheGatewayToItself) {
  const std::string key = "0123456789abcdef0123";
  std::ofstream(folder.File("keys")) << "alice:" << key << "\n";
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = folder.File("keys");
  const auto channel = Connect();
  EXPECT_EQ(Call(channel, "/acme.v1.Any/Echo").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  AnyCall bearer(channel, "/acme.v1.Any/Quit", {{"authorization", "Bearer " + key}});
  bearer.Start();
  bearer.Write("x");
  bearer.Finish();
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("authorization"))));
  EXPECT_THAT(upstream.metadata(), Contains(testing::Pair("penstock-principal", "alice")));
  AnyCall beside_none(channel, "/acme.v1.Any/Quit",
                      {{"x-api-key", ""}, {"authorization", "Bearer " + key}});
  beside_none.Start();
  beside_none.Write("x");
  beside_none.Finish();
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("authorization"))));
  AnyCall own(channel, "/acme.v1.Any/Quit", {{"x-api-key", key}, {"authorization", "Basic abc"}});
  own.Start();
  own.Write("x");
  own.Finish();
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("x-api-key"))));
  EXPECT_THAT(upstream.metadata(), Contains(testing::Pair("authorization", "Basic abc")));
}

// A client that sends any head it likes, one at a time.
class RawClient final : public h2::StreamHandler {
 public:
  explicit RawClient(std::uint16_t port) {
    h2::ClientOptions options;
    options.addresses = {"127.0.0.1:" + std::to_string(port)};
    client_ = *h2::Client::Create(loops_, dns_, options);
  }
  ~RawClient() override {
    client_->Stop();
    dns_.Stop();
    loops_.Stop();
  }

  // The head of the answer.
  h2::Fields Ask(const h2::Fields& head) {
    is_closed_ = false;
    answer_ = {};
    loops_.RunAndWait(0, [&] { client_->Open(head, true, this); });
    EXPECT_TRUE(Eventually([this] { return is_closed_.load(); }));
    return answer_;
  }
  static h2::Fields Head(const std::string& method, const std::string& type,
                         const std::string& path = "/acme.v1.Any/Quit") {
    h2::Fields head;
    head.Add(":method", method);
    head.Add(":scheme", "http");
    head.Add(":path", path);
    head.Add(":authority", "a");
    if (!type.empty()) head.Add("content-type", type);
    return head;
  }

  void OnHead(h2::Fields head, bool) override { answer_ = std::move(head); }
  void OnData(h2::Chunk) override {}
  void OnEnd(h2::Fields) override {}
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode) override { is_closed_ = true; }

 private:
  http::EventLoops loops_;
  http::Dns dns_{loops_, milliseconds(0)};
  std::unique_ptr<h2::Client> client_;
  h2::Fields answer_;
  std::atomic<bool> is_closed_{false};
};

TEST_F(GrpcUpstreamTest, RefusesWhatIsNoGrpcInHttpsTerms) {
  StartGateway();
  RawClient client(app->grpc_port());
  EXPECT_EQ(client.Ask(RawClient::Head("GET", "application/grpc")).Get(":status"), "405");
  for (const char* type : {"", "text/html", "application/grpc-web", "application/grpcx"}) {
    EXPECT_EQ(client.Ask(RawClient::Head("POST", type)).Get(":status"), "415") << type;
  }
  for (const char* type : {"application/grpc", "application/grpc+proto", "application/grpc;x=y"}) {
    EXPECT_EQ(client.Ask(RawClient::Head("POST", type)).Get(":status"), "200") << type;
  }
}

TEST_F(GrpcUpstreamTest, EndsItsOwnCallsThatEndWithTheirHead) {
  StartGateway();
  RawClient client(app->grpc_port());
  const auto ask = [&client](const char* path) {
    return client.Ask(RawClient::Head("POST", "application/grpc", path));
  };
  EXPECT_EQ(ask("/grpc.health.v1.Health/Check").Get("grpc-status"), "3");
  EXPECT_EQ(ask("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").Get(":status"), "200");
}

TEST_F(GrpcUpstreamTest, RefusesATimeoutThatIsMalformedOrOver) {
  StartGateway();
  RawClient client(app->grpc_port());
  for (const auto& [timeout, status] : {std::pair("soon", "3"), std::pair("0u", "4")}) {
    h2::Fields head = RawClient::Head("POST", "application/grpc");
    head.Add("grpc-timeout", timeout);
    EXPECT_EQ(client.Ask(head).Get("grpc-status"), status) << timeout;
  }
}

TEST_F(GrpcUpstreamTest, KeepsFieldsOfAHopAndOfGrpcItself) {
  StartGateway();
  RawClient client(app->grpc_port());
  h2::Fields head = RawClient::Head("POST", "application/grpc");
  head.Add("grpc-status", "0");
  head.Add("grpc-internal-encoding-request", "gzip");
  head.Add("x-own", "1");
  head.Add("host", "elsewhere");
  EXPECT_EQ(client.Ask(head).Get(":status"), "200");
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("grpc-internal-encoding-request"))));
  EXPECT_THAT(upstream.metadata(), Not(Contains(testing::Key("grpc-status"))));
  EXPECT_THAT(upstream.metadata(), Contains(testing::Pair("x-own", "1")));
}

TEST_F(GrpcUpstreamTest, NamesAnUpstreamThatIsDownAndFindsItAgain) {
  const auto channel = Connect();
  ASSERT_TRUE(Call(channel, "/acme.v1.Any/Echo").ok());
  AnyCall open(channel, "/acme.v1.Any/Hold");
  open.Start();
  ASSERT_TRUE(Eventually([this] { return upstream.open == 1; }));
  upstream.Stop();
  EXPECT_FALSE(open.Finish().ok());
  const grpc::Status status = Call(channel, "/acme.v1.Any/Echo");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("acme"));
  EXPECT_EQ(ReasonOf(rpc::FromGrpcStatus(status)), "SERVICE_UNAVAILABLE");
  upstream.Start();
  EXPECT_TRUE(Eventually([&] { return Call(channel, "/acme.v1.Any/Echo").ok(); }));
}

TEST_F(GrpcUpstreamTest, AnswersHealthForItselfAndForEachService) {
  using Response = grpc::health::v1::HealthCheckResponse;
  const auto stub = grpc::health::v1::Health::NewStub(Connect());
  const auto check = [&](const std::string& service, Response& response) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    return stub->Check(&context, request, &response);
  };
  Response response;
  EXPECT_TRUE(check("", response).ok());
  EXPECT_EQ(response.status(), Response::SERVING);
  response.Clear();
  EXPECT_TRUE(check("penstock.events.v1.EventBrokerService", response).ok());
  EXPECT_EQ(response.status(), Response::SERVING);
  EXPECT_EQ(check("nobody.Knows", response).error_code(), grpc::StatusCode::NOT_FOUND);
  StopBroker();
  EXPECT_EQ(check("penstock.events.v1.EventBrokerService", response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcUpstreamTest, TellsWatchersOfItsHealthThatItStops) {
  using Response = grpc::health::v1::HealthCheckResponse;
  const auto stub = grpc::health::v1::Health::NewStub(Connect());
  grpc::ClientContext context;
  const auto watch = stub->Watch(&context, {});
  Response response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), Response::SERVING);
  EXPECT_TRUE(app->Stop(std::chrono::seconds(10)).ok());
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), Response::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&response));
}

TEST_F(GrpcUpstreamTest, ReflectsThePublicServicesInBothVersions) {
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  for (const std::string version : {"v1", "v1alpha"}) {
    AnyCall call(Connect(),
                 "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo");
    call.Start();
    grpc::reflection::v1::ServerReflectionResponse response;
    const auto ask = [&](const Request& request) {
      response.Clear();
      const auto answer = call.Write(request.SerializeAsString()) ? call.Read() : std::nullopt;
      return answer && response.ParseFromString(*answer);
    };
    Request request;
    request.set_list_services("");
    ASSERT_TRUE(ask(request)) << version;
    std::vector<std::string> names;
    for (const auto& service : response.list_services_response().service()) {
      names.push_back(service.name());
    }
    EXPECT_THAT(names, testing::IsSupersetOf({"penstock.events.v1.EventBrokerService",
                                              "penstock.functions.v1.FunctionManagerService",
                                              "penstock.executions.v1.FunctionExecutorService",
                                              "grpc.health.v1.Health"}));
    EXPECT_THAT(names, Not(Contains(HasSubstr("internal"))));
    request.set_file_containing_symbol("penstock.events.v1.EventBrokerService");
    ASSERT_TRUE(ask(request));
    EXPECT_GT(response.file_descriptor_response().file_descriptor_proto_size(), 1);
    request.set_file_containing_symbol("no.Such");
    ASSERT_TRUE(ask(request));
    EXPECT_EQ(response.error_response().error_code(), 5);
    call.WritesDone();
    EXPECT_TRUE(call.Finish().ok());
  }
}

}  // namespace
}  // namespace penstock::gateway
