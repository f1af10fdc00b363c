// Users' services over Connect and gRPC-Web: gRPC upstreams, and services with descriptors.
#include <gmock/gmock.h>

#include <string>

#include "absl/strings/escaping.h"
#include "tests/contract/gateway/fake_user_service.h"
#include "tests/contract/gateway/fixture.h"
#include "tests/contract/gateway/scripted_upstream.h"
#include "tests/contract/gateway/web_client.h"

namespace penstock::gateway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Lt;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

HeaderList Type(const std::string& type) { return {{"Content-Type", type}}; }

class WebUpstreamTest : public GatewayTest {
 protected:
  WebUpstreamTest() {
    GrpcUpstream entry;
    entry.name = "acme";
    entry.addresses = {upstream.address()};
    entry.methods = {"acme.v1"};
    config.grpc.upstreams.push_back(entry);
  }
  ~WebUpstreamTest() override { StopGateway(); }

  ScriptedUpstream upstream;
};

TEST_F(WebUpstreamTest, PassesBytesAndMetadataBothWays) {
  StartGateway();
  // No protobuf message, which the binary codec does not mind.
  const std::string bytes("\xFF\0 any", 6);
  const HttpAnswer got = Post("/acme.v1.Any/Echo", bytes,
                              {{"Content-Type", "application/proto"},
                               {"X-Up", "1, 2"},
                               {"X-Up-Bin", "AP8="},
                               {"User", "u"}});
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body, bytes);
  EXPECT_EQ(got.Header("x-down"), "1, 2");
  EXPECT_EQ(got.Header("x-down-bin"), "AP8");
  EXPECT_EQ(got.Header("Trailer-x-down"), "1, 2!");
  EXPECT_EQ(got.Header("Trailer-x-down-bin"), "AP8h");
  EXPECT_THAT(upstream.metadata(), Contains(Pair("user", "u")));
}

TEST_F(WebUpstreamTest, WritesTrailersIntoGrpcWebBodies) {
  StartGateway();
  const HttpAnswer got = Post("/acme.v1.Any/Echo", Framed(std::string(100'000, 'z')),
                              {{"Content-Type", "application/grpc-web"}, {"x-up", "v"}});
  const auto frames = FramesIn(got.body);
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].message, std::string(100'000, 'z'));
  EXPECT_THAT(frames[1].message, HasSubstr("\r\nx-down: v!\r\n"));
}

TEST_F(WebUpstreamTest, WritesTrailersIntoTheEndOfAStream) {
  StartGateway();
  const HttpAnswer got = Post("/acme.v1.Any/Echo", Framed("abc"),
                              {{"Content-Type", "application/connect+proto"}, {"x-up", "v"}});
  const auto frames = FramesIn(got.body);
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].message, "abc");
  EXPECT_EQ(frames[1].flags, 2);
  EXPECT_THAT(frames[1].message, HasSubstr(R"("x-down":["v!"])"));
}

TEST_F(WebUpstreamTest, PassesAStatusOnThatComesWithoutAHead) {
  StartGateway();
  const HttpAnswer got = Post("/acme.v1.Any/Fail", "", Type("application/proto"));
  EXPECT_EQ(got.status, 400);
  EXPECT_THAT(got.body, StartsWith("{\"code\":\"failed_precondition\",\"message\":\"no "
                                   "\xC3\xA9% today\""));
  EXPECT_THAT(got.body, HasSubstr("SCRIPTED"));
}

TEST_F(WebUpstreamTest, SaysThatAnAnswerHasNoMessageOrTooMany) {
  StartGateway();
  const HttpAnswer none = Post("/acme.v1.Any/Quit", "", Type("application/proto"));
  EXPECT_EQ(none.status, 501);
  EXPECT_THAT(none.body, HasSubstr("without a message"));
  const HttpAnswer many = Post("/acme.v1.Any/Flood", "", Type("application/proto"));
  EXPECT_EQ(many.status, 501);
  EXPECT_THAT(many.body, HasSubstr("answers with a stream"));
  EXPECT_TRUE(Eventually([this] { return upstream.cancelled == 1; }));
}

TEST_F(WebUpstreamTest, HoldsAServerBackWhoseClientDoesNotRead) {
  StartGateway();
  HttpStream stream(http_port(),
                    {"POST", "/acme.v1.Any/Flood", Type("application/grpc-web"), Framed("")});
  ASSERT_TRUE(stream.ReadUntil("HTTP/1.1 200"));
  // It stands still when two looks in a row see the same.
  std::size_t before = 0;
  int still = 0;
  ASSERT_TRUE(Eventually([&] {
    const std::size_t now = upstream.bytes_flooded;
    still = now == before && now > 0 ? still + 1 : 0;
    before = now;
    return still == 200;
  }));
  EXPECT_THAT(before, Lt(64u << 20));
  stream.Close();
  EXPECT_TRUE(Eventually([this] { return upstream.cancelled == 1; }));
}

TEST_F(WebUpstreamTest, NeedsDescriptorsForJson) {
  StartGateway();
  const HttpAnswer got =
      Post("/acme.v1.Any/Echo", "{}",
           {{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "1"}});
  EXPECT_EQ(got.status, 415);
  EXPECT_THAT(got.body, HasSubstr("transcoding.services"));
  EXPECT_THAT(got.Header("Accept-Post"), HasSubstr("application/proto"));
}

TEST_F(WebUpstreamTest, KeepsTheFilterOfTheGrpcPort) {
  config.grpc.deny = {"acme.v1.Any/Echo"};
  StartGateway();
  const HttpAnswer got = Post("/acme.v1.Any/Echo", Framed("a"), Type("application/grpc-web"));
  EXPECT_THAT(FramesIn(got.body).at(0).message,
              StartsWith("grpc-status: 12\r\ngrpc-message: Unknown method\r\n"));
}

TEST_F(WebUpstreamTest, WorksWithoutTheGrpcPort) {
  config.grpc_listen.clear();
  StartGateway();
  EXPECT_EQ(Post("/acme.v1.Any/Echo", "abc", Type("application/proto")).body, "abc");
}

TEST_F(WebUpstreamTest, NamesTheUpstreamThatIsLost) {
  upstream.Stop();
  StartGateway();
  const HttpAnswer got = Post("/acme.v1.Any/Echo", "abc", Type("application/proto"));
  EXPECT_EQ(got.status, 503);
  EXPECT_THAT(got.body, HasSubstr("the upstream acme is not available"));
}

// A service that is known by its descriptors, and reached over channels.
class WebServiceTest : public GatewayTest {
 protected:
  WebServiceTest() : front_(shop) {
    rpc::ServerOptions options;
    options.generic = &front_;
    options.reflection = false;
    options.address = "127.0.0.1:0";
    auto host = rpc::ServerHost::Start(std::move(options));
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    host_->SetServing(true);
    config.services = {{.name = "shop",
                        .addresses = {host_->address()},
                        .descriptors = std::string(PENSTOCK_SHOP_SETS) + "/v1.binpb"}};
    StartGateway();
  }
  ~WebServiceTest() override {
    StopGateway();
    host_->Stop(std::chrono::milliseconds(0));
  }

  FakeUserService shop;

 private:
  UserServiceFront front_;
  std::unique_ptr<rpc::ServerHost> host_;
};

TEST_F(WebServiceTest, MakesUnaryCalls) {
  const std::string json = R"({"name":"items/a","count":3,"tags":["1","2"]})";
  const HttpAnswer got =
      Post("/shop.v1.Shop/GetItem", json,
           {{"Content-Type", "application/json"}, {"X-Mine", "1"}, {"x-mine-bin", "AP8"}});
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body, json);
  EXPECT_THAT(shop.Metadata("x-mine"), ElementsAre("1"));
  EXPECT_THAT(shop.Metadata("x-mine-bin"), ElementsAre(std::string("\0\xFF", 2)));
  const std::string bytes = "\x0a\x01x\x18\x05";
  EXPECT_EQ(Post("/shop.v1.Shop/GetItem", bytes, Type("application/proto")).body, bytes);
  EXPECT_EQ(Post("/shop.v1.Shop/GetItem", "\xFF", Type("application/proto")).status, 400);
  EXPECT_EQ(Post("/shop.v1.Shop/Nothing", "", Type("application/grpc-web")).status, 200);
}

TEST_F(WebServiceTest, MakesStreams) {
  const HttpAnswer json =
      Post("/shop.v1.Shop/ListItems", Framed(R"({"title":"t"})"), Type("application/connect+json"));
  const auto frames = FramesIn(json.body);
  ASSERT_THAT(frames, SizeIs(4)) << json.body;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(frames[static_cast<std::size_t>(i)].message, R"({"title":"t"})");
  EXPECT_EQ(frames[3].flags, 2);
  const HttpAnswer web = Post("/shop.v1.Shop/ListItems", ToText(Framed("\x0a\x01x")),
                              Type("application/grpc-web-text"));
  EXPECT_THAT(FramesIn(FromText(web.body)), SizeIs(4));
}

TEST_F(WebServiceTest, AnswersErrorsAndEndsCallsAtTheirDeadline) {
  const HttpAnswer failed = Post("/shop.v1.Shop/Fail", "{}", Type("application/json"));
  EXPECT_EQ(failed.status, 404);
  EXPECT_THAT(failed.body, HasSubstr("ITEM_NOT_FOUND"));
  const HttpAnswer late =
      Post("/shop.v1.Shop/Hang", "{}",
           {{"Content-Type", "application/json"}, {"Connect-Timeout-Ms", "100"}});
  EXPECT_EQ(late.status, 504);
  EXPECT_TRUE(Eventually([this] { return shop.hanging() == 0; }));
}

TEST_F(WebServiceTest, AnswersGetsOfMethodsWithoutSideEffects) {
  const HttpAnswer json =
      Get("/shop.v1.Shop/GetItem?connect=v1&encoding=json&message=%7B%22title%22%3A%22t%22%7D");
  EXPECT_EQ(json.status, 200) << json.body;
  EXPECT_EQ(json.body, R"({"title":"t"})");
  const HttpAnswer proto =
      Get("/shop.v1.Shop/GetItem?message=CgF4&base64=1&encoding=proto&connect=v1");
  EXPECT_EQ(proto.body, "\x0a\x01x");
  EXPECT_EQ(proto.Header("Content-Type"), "application/proto");
  struct Row {
    std::string target;
    int status;
    std::string text;
  };
  for (const Row& row : {
           Row{"/shop.v1.Shop/Fail?connect=v1&encoding=json&message=%7B%7D", 405,
               "NO_SIDE_EFFECTS"},
           {"/shop.v1.Shop/GetItem?connect=v2&encoding=json&message=%7B%7D", 400,
            "connect: expected v1"},
           {"/shop.v1.Shop/GetItem?connect=v1&encoding=xml&message=", 415, "codec"},
           {"/shop.v1.Shop/GetItem?connect=v1&encoding=json", 400, "message: is missing"},
           {"/shop.v1.Shop/GetItem?connect=v1&encoding=json&compression=br&message=x", 501,
            "supported encodings"},
           {"/shop.v1.Shop/No?connect=v1&encoding=json&message=x", 501, "Unknown method"},
       }) {
    const HttpAnswer got = Get(row.target);
    EXPECT_EQ(got.status, row.status) << row.target << got.body;
    EXPECT_THAT(got.body, HasSubstr(row.text));
  }
}

}  // namespace
}  // namespace penstock::gateway
