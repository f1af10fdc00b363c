#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/contract/gateway/fake_user_service.h"
#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// The descriptor set that the build made of protos/<version>/shop.proto.
std::string SetOf(const std::string& version) {
  std::ifstream file(std::string(PENSTOCK_SHOP_SETS) + "/" + version + ".binpb", std::ios::binary);
  EXPECT_TRUE(file) << version;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

google::protobuf::FileDescriptorSet FilesOf(const std::string& version) {
  google::protobuf::FileDescriptorSet files;
  EXPECT_TRUE(files.ParseFromString(SetOf(version)));
  return files;
}

class UserServicesTest : public GatewayTest, public testing::WithParamInterface<Transport> {
 protected:
  UserServicesTest() : GatewayTest(GetParam()), shop_("shop"), file_(folder.File("shop.binpb")) {
    StartShop();
    Write(SetOf("v1"));
  }
  ~UserServicesTest() override {
    StopGateway();
    StopShop();
  }

  void StartShop() {
    rpc::ServerOptions options;
    front_ = std::make_unique<UserServiceFront>(shop_service);
    options.generic = front_.get();
    options.reflection = false;
    if (GetParam() == Transport::kInProcess) {
      options.name = "gateway-test-" + shop_;
      address_ = "inproc:" + options.name;
    } else {
      options.address = address_.empty() ? "127.0.0.1:0" : address_;
    }
    auto host = rpc::ServerHost::Start(std::move(options));
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    host_->SetServing(true);
    if (GetParam() == Transport::kTcp) address_ = host_->address();
  }

  void StopShop() {
    if (host_ != nullptr) host_->Stop(std::chrono::milliseconds(0));
    host_.reset();
  }

  // In one step, as a deployment should.
  void Write(const std::string& bytes) {
    const std::string draft = file_ + ".new";
    std::ofstream(draft, std::ios::binary) << bytes;
    std::filesystem::rename(draft, file_);
  }

  UserServiceOptions Shop(const std::string& descriptors) const {
    return {.name = "shop", .addresses = {address_}, .descriptors = descriptors};
  }

  void StartWithFile() {
    config.services = {Shop(file_)};
    StartGateway();
  }

  // Why the gateway does not start.
  std::string Refusal() {
    auto created = App::Create(config, {SystemClock(), metrics, readiness});
    if (!created.ok()) return std::string(created.status().message());
    const absl::Status started = (*created)->Start();
    return started.ok() ? "started" : std::string(started.message());
  }

  FakeUserService shop_service;
  const std::string shop_;
  const std::string file_;
  std::string address_;
  std::unique_ptr<UserServiceFront> front_;
  std::unique_ptr<rpc::ServerHost> host_;
};

INSTANTIATE_TEST_SUITE_P(Transports, UserServicesTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(UserServicesTest, MakesUnaryCalls) {
  StartWithFile();
  const HttpAnswer got = Get("/shop/v1/items/a?title=x%20y&count=3&tags=1&tags=2");
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(got.body, R"({"name":"items/a","title":"x y","count":3,"tags":["1","2"]})");
  const HttpAnswer patched =
      Ask(http_port(), {"PATCH",
                        "/shop/v1/items/a",
                        {{"Content-Type", "application/json"}},
                        R"({"title":"x","createTime":"2026-01-02T03:04:05Z","extra":)"
                        R"({"@type":"x.com/shop.v1.Item","count":1}})"});
  EXPECT_EQ(patched.body,
            R"({"item":{"name":"items/a","title":"x","createTime":"2026-01-02T03:04:05Z",)"
            R"("extra":{"@type":"x.com/shop.v1.Item","count":1}},)"
            R"("updateMask":"title,createTime,extra"})");
}

TEST_P(UserServicesTest, SaysWhatIsWrong) {
  StartWithFile();
  EXPECT_THAT(Get("/shop/v1/items/a?count=x").body, HasSubstr(R"("field":"count")"));
  const HttpAnswer failed = Get("/shop/v1/fail");
  EXPECT_EQ(failed.status, 404);
  EXPECT_THAT(failed.body, HasSubstr(R"("reason":"ITEM_NOT_FOUND")"));
  EXPECT_EQ(Get("/shop/v1/nothing").status, 404);
  const HttpAnswer method = Ask(http_port(), {"DELETE", "/shop/v1/items/a", {}, ""});
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.Header("Allow"), "GET, PATCH");
  EXPECT_EQ(Post("/shop/v1/items:add", "{}", {{"Content-Type", "text/plain"}}).status, 415);
  StopShop();
  const HttpAnswer lost = Get("/shop/v1/items/a");
  EXPECT_EQ(lost.status, 503);
  EXPECT_THAT(lost.body, HasSubstr(R"("service":"shop")"));
}

TEST_P(UserServicesTest, StreamsAnswers) {
  StartWithFile();
  const HttpAnswer lines = Get("/shop/v1/items?title=x");
  EXPECT_EQ(lines.Header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(lines.Header("Grpc-Metadata-color"), "red");
  EXPECT_EQ(lines.body, "{\"title\":\"x\"}\n{\"title\":\"x\"}\n{\"title\":\"x\"}\n");
  const HttpAnswer events = Get("/shop/v1/items?title=x", {{"Accept", "text/event-stream"}});
  EXPECT_EQ(events.Header("Content-Type"), "text/event-stream");
  EXPECT_THAT(events.body, EndsWith("data: {\"title\":\"x\"}\n\n"));
}

TEST_P(UserServicesTest, TakesStreamsOfLines) {
  StartWithFile();
  const HeaderList headers = {{"Content-Type", "application/x-ndjson"}};
  const HttpAnswer added = Post("/shop/v1/items:add?title=t",
                                "{\"tags\":[\"1\"]}\n\n{\"tags\":[\"2\"],\"count\":4}\n", headers);
  EXPECT_EQ(added.status, 400) << added.body;  // the fields are the body's
  EXPECT_EQ(
      Post("/shop/v1/items:add", "{\"tags\":[\"1\"]}\n{\"tags\":[\"2\"],\"count\":4}\n", headers)
          .body,
      R"({"count":4,"tags":["1","2"]})");
  EXPECT_THAT(Post("/shop/v1/items:add", "{}\n{\"count\":\"x\"}", headers).body,
              HasSubstr(R"("field":"messages[1].count")"));
  EXPECT_EQ(Post("/shop/v1/chat/t", "{\"count\":1}\n{\"count\":2}\n", headers).body,
            "{\"title\":\"t\",\"count\":1}\n{\"count\":2}\n");
}

TEST_P(UserServicesTest, PassesRawBodiesBothWays) {
  StartWithFile();
  const HttpAnswer file = Get("/shop/v1/files/a.txt");
  EXPECT_EQ(file.Header("Content-Type"), "text/plain");
  EXPECT_EQ(file.body, "hello world");
  HttpStream broken(http_port(), {"GET", "/shop/v1/files/broken", {}, ""});
  EXPECT_TRUE(broken.ReadToEnd());
  EXPECT_THAT(broken.received(), HasSubstr("hello "));
  EXPECT_THAT(broken.received(), Not(EndsWith("0\r\n\r\n")));
  EXPECT_EQ(Post("/shop/v1/files", std::string(70'000, 'x'), {{"Content-Type", "a/b"}}).body,
            "2 70000");
}

TEST_P(UserServicesTest, PassesMetadataBothWays) {
  config.request_headers = {"Authorization"};
  config.answer_headers = {"color"};
  StartWithFile();
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const HttpAnswer answer = Get("/shop/v1/items/a", {{"Grpc-Metadata-Tenant", "t"},
                                                     {"Authorization", "Basic x"},
                                                     {"traceparent", trace},
                                                     {"Cookie", "c"}});
  EXPECT_THAT(shop_service.Metadata("tenant"), ElementsAre("t"));
  EXPECT_THAT(shop_service.Metadata("authorization"), ElementsAre("Basic x"));
  EXPECT_THAT(shop_service.Metadata("traceparent"), ElementsAre(trace));
  EXPECT_THAT(shop_service.Metadata("cookie"), ElementsAre());
  EXPECT_THAT(shop_service.Metadata("penstock-peer-token"), ElementsAre());
  EXPECT_EQ(answer.Header("color"), "red");
  EXPECT_EQ(answer.Header("Grpc-Metadata-key-bin"), "AAE=");
  EXPECT_EQ(answer.Header("Grpc-Trailer-cost"), "7");
}

TEST_P(UserServicesTest, EndsCallsInTime) {
  StartWithFile();
  EXPECT_EQ(Get("/shop/v1/hang", {{"Grpc-Timeout", "50m"}}).status, 504);
  EXPECT_TRUE(Eventually([this] { return shop_service.hanging() == 0; }));
  HttpStream stream(http_port(), {"GET", "/shop/v1/hang", {}, ""});
  ASSERT_TRUE(Eventually([this] { return shop_service.hanging() == 1; }));
  stream.Close();
  EXPECT_TRUE(Eventually([this] { return shop_service.hanging() == 0; }));
}

TEST_P(UserServicesTest, TakesANewSetWithoutARestart) {
  StartWithFile();
  EXPECT_EQ(Get("/shop/v2/items/a").status, 404);
  Write(SetOf("v2"));
  EXPECT_TRUE(Eventually([this] { return Get("/shop/v2/items/a").status == 200; }));
  EXPECT_EQ(Get("/shop/v1/items/a").status, 200);
  Write(SetOf("v1"));
  EXPECT_TRUE(Eventually([this] { return Get("/shop/v2/items/a").status == 404; }));
}

TEST_P(UserServicesTest, GoesOnWithTheOldSetWhenTheNewOneIsBad) {
  StartWithFile();
  int refused = 0;
  for (const std::string& bad : {std::string("\xff"), SetOf("conflict")}) {
    Write(bad);
    const std::string line = "penstock_gateway_descriptor_sets_total{result=\"refused\"} " +
                             std::to_string(++refused) + "\n";
    EXPECT_TRUE(Eventually([&] { return metrics.Serialize().find(line) != std::string::npos; }));
    EXPECT_EQ(Get("/shop/v1/items/a").status, 200);
  }
  Write(SetOf("v2"));
  EXPECT_TRUE(Eventually([this] { return Get("/shop/v2/items/a").status == 200; }));
}

TEST_P(UserServicesTest, RefusesConflictsNamingBoth) {
  Write(SetOf("conflict"));
  config.services = {Shop(file_)};
  EXPECT_THAT(Refusal(), HasSubstr("google.api.http of shop.v1.Shop.GetItem: GET "
                                   "/api/v1/{name=items/*} takes paths of penstock."));
  Write(SetOf("v1"));
  config.services = {Shop(file_), Shop(file_)};
  config.services[1].name = "shop2";
  EXPECT_THAT(Refusal(), HasSubstr("takes the same paths as"));
  config.services = {Shop(folder.File("none"))};
  EXPECT_THAT(Refusal(), HasSubstr("the descriptors of shop in "));
}

TEST_P(UserServicesTest, AsksTheServiceForItsDescriptors) {
  StopShop();
  config.services = {Shop("reflection")};
  StartGateway();
  EXPECT_EQ(Get("/shop/v1/items/a").status, 404);
  shop_service.SetFiles(FilesOf("v1"));
  StartShop();
  EXPECT_TRUE(Eventually([this] { return Get("/shop/v1/items/a").status == 200; }));
  EXPECT_EQ(Get("/shop/v2/items/a").status, 404);
  // Another version comes up in its place.
  StopShop();
  shop_service.SetFiles(FilesOf("v2"));
  StartShop();
  EXPECT_TRUE(Eventually([this] { return Get("/shop/v2/items/a").status == 200; }));
}

TEST_P(UserServicesTest, PassesOverAnAddressThatCannotBeReached) {
  config.services = {Shop(file_)};
  config.services[0].addresses = {"127.0.0.1:1", address_};
  StartGateway();
  // Once the first address is known to be broken, no call is lost any more.
  EXPECT_TRUE(Eventually([this] {
    for (int i = 0; i < 10; ++i) {
      if (Get("/shop/v1/items/a").status != 200) return false;
    }
    return true;
  }));
}

TEST_P(UserServicesTest, LeavesOtherPathsAlone) {
  StartWithFile();
  EXPECT_EQ(Get("/").status, 200);
  EXPECT_EQ(Get("/api/v1/spaces/default/functions").status, 200);
  EXPECT_EQ(Get("/shop").status, 404);
}

TEST_P(UserServicesTest, ComeAndGoWithTheConfiguration) {
  StartGateway();
  EXPECT_EQ(Get("/shop/v1/items/a").status, 404);
  config.services = {Shop(file_)};
  ASSERT_TRUE(app->Reload(config).ok());
  EXPECT_EQ(Get("/shop/v1/items/a").status, 200);
  // What did not change is not read again, and other changes leave it.
  config.http_hosts = {"a.example"};
  ASSERT_TRUE(app->Reload(config).ok());
  config.answer_headers = {"color"};
  ASSERT_TRUE(app->Reload(config).ok());
  EXPECT_EQ(Get("/shop/v1/items/a").Header("color"), "red");
  config.services.push_back({.name = "none", .addresses = {address_}, .descriptors = "nowhere"});
  const absl::Status refused = app->Reload(config).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("nowhere"));
  EXPECT_EQ(Get("/shop/v1/items/a").status, 200);
  config.services.clear();
  ASSERT_TRUE(app->Reload(config).ok());
  EXPECT_EQ(Get("/shop/v1/items/a").status, 404);
}

TEST_P(UserServicesTest, AServerThatIsDownIsNoReasonToRefuse) {
  StartGateway();
  StopShop();
  config.services = {Shop(kReflection)};
  EXPECT_TRUE(app->Reload(config).ok());
  EXPECT_EQ(Get("/shop/v1/items/a").status, 404);
  config.services = {Shop(file_)};
  EXPECT_TRUE(app->Reload(config).ok());
  EXPECT_EQ(Get("/shop/v1/items/a").status, 503);
}

}  // namespace
}  // namespace penstock::gateway
