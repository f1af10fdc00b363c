// The configuration is exchanged while the gateway serves.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "libs/config/changes.h"
#include "libs/http/client.h"
#include "tests/contract/gateway/proxy_fixture.h"
#include "tests/contract/gateway/scripted_upstream.h"
#include "tests/unit/libs/http/test_certificate.h"

namespace penstock::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

http::Response Say(const std::string& text) {
  http::Response response;
  response.body = text;
  return response;
}

class ReloadTest : public ProxyTest {
 protected:
  ~ReloadTest() override { StopGateway(); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder.File(name)) << text;
  }
  void UseKeys(const std::string& lines) {
    Write("keys", lines);
    config.auth = AuthKind::kApiKeys;
    config.auth_keys_file = folder.File("keys");
  }
  // Goes by `config` as it is now; the keys of renewed files.
  std::vector<std::string> Reload() {
    auto renewed = app->Reload(config);
    EXPECT_TRUE(renewed.ok()) << renewed.status();
    return renewed.ok() ? *std::move(renewed) : std::vector<std::string>();
  }
  int StatusWith(const std::string& key, const std::string& target = "/api/v1/spaces") {
    return Get(target, {{"X-API-Key", key}}).status;
  }
};

constexpr char kFirstKey[] = "first-key-0123456789";
constexpr char kSecondKey[] = "second-key-0123456789";

TEST_F(ReloadTest, KeysAndTheirFile) {
  StartGateway();
  EXPECT_EQ(Publish("1").status, 202);
  UseKeys(std::string("a:") + kFirstKey + "\n");
  EXPECT_THAT(Reload(), IsEmpty());
  EXPECT_EQ(Publish("2").status, 401);
  EXPECT_NE(StatusWith(kFirstKey), 401);
  EXPECT_EQ(StatusWith(kSecondKey), 401);
  // The same configuration, another content of the file.
  UseKeys(std::string("a:") + kSecondKey + "\n");
  EXPECT_THAT(Reload(), ElementsAre("auth_keys_file"));
  EXPECT_EQ(StatusWith(kFirstKey), 401);
  EXPECT_NE(StatusWith(kSecondKey), 401);
  EXPECT_THAT(Reload(), IsEmpty());
}

TEST_F(ReloadTest, WhatCannotBeTakenChangesNothing) {
  UseKeys(std::string("a:") + kFirstKey + "\n");
  StartGateway();
  Write("keys", "a:short\n");
  config.http_hosts = {"new.example"};
  const auto refused = app->Reload(config);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("auth_keys_file: line 1"));
  EXPECT_NE(StatusWith(kFirstKey), 401);
  EXPECT_EQ(Get("/api/v1/spaces", {{"X-API-Key", kFirstKey}, {"Host", "new.example"}}).status, 403);
}

TEST_F(ReloadTest, FixedKeysStayAndCannotOpenTheDoor) {
  StartGateway();
  const std::uint16_t port = http_port();
  Config other = config;
  other.http_listen = {"127.0.0.1", 1};
  other.grpc_listen = "127.0.0.1:1";
  other.event_broker_address = "127.0.0.1:1";
  other.http_hosts = {"new.example"};
  ASSERT_TRUE(app->Reload(other).ok());
  EXPECT_EQ(http_port(), port);
  EXPECT_EQ(Publish("1").status, 202);
  EXPECT_NE(Get("/api/v1/spaces", {{"Host", "new.example"}}).status, 403);
}

TEST_F(ReloadTest, RoutesComeAndGo) {
  TestUpstream one([](const http::Request&) { return Say("one"); });
  TestUpstream two([](const http::Request&) { return Say("two"); });
  config.http_threads = 1;  // Each loop has connections of its own.
  StartGateway();
  EXPECT_EQ(Get("/one/x").status, 404);
  AddUpstream("one", {one.url()});
  Reload();
  EXPECT_EQ(Get("/one/x").body, "one");
  AddUpstream("two", {two.url()});
  Reload();
  EXPECT_EQ(Get("/one/x").body, "one");
  EXPECT_EQ(Get("/two/x").body, "two");
  EXPECT_EQ(one.connections(), 1U) << "an upstream that stays keeps its connections";
  config.proxy.upstreams.erase(config.proxy.upstreams.begin());
  config.proxy.routes.erase(config.proxy.routes.begin());
  Reload();
  EXPECT_EQ(Get("/one/x").status, 404);
  EXPECT_EQ(Get("/two/x").body, "two");
  config.proxy.master_api_url = two.url();
  Reload();
  EXPECT_EQ(Get("/api/v1/spaces").body, "two");
  config.proxy.master_api_url.clear();
  Reload();
  EXPECT_NE(Get("/api/v1/spaces").body, "two");
}

TEST_F(ReloadTest, ARemovedUpstreamEndsItsAnswerInPeace) {
  const std::string body = TestBytes(8'000'000);
  auto upstream = std::make_unique<TestUpstream>([&](const http::Request&) { return Say(body); });
  AddUpstream("big", {upstream->url()});
  StartGateway();
  http::RawSocket client = Connect(/*receive_buffer=*/65'536);
  client.Send("GET /big/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  ASSERT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("200 OK"));
  config.proxy = {};
  Reload();
  Reload();  // a generation further
  EXPECT_EQ(Get("/big/x").status, 404);
  EXPECT_EQ(upstream->open_connections(), 1U);
  EXPECT_TRUE(client.ReadAll() == body);
  // The generations that held it are gone, and with them its connections.
  EXPECT_TRUE(Eventually([&] { return upstream->open_connections() == 0; }));
}

TEST_F(ReloadTest, HealthOfARemovedUpstreamIsNotCounted) {
  TestUpstream sick([](const http::Request&) {
    http::Response response;
    response.status = 500;
    return response;
  });
  ProxyUpstream& upstream = AddUpstream("sick", {sick.url()});
  upstream.health_path = "/health";
  upstream.health_interval = std::chrono::milliseconds(5);
  StartGateway();
  const std::string gauge = R"(penstock_gateway_proxy_unhealthy_servers{upstream="sick"})";
  ASSERT_TRUE(Eventually([&] { return Metric(gauge) == 1; }));
  Reload();
  EXPECT_EQ(Metric(gauge), 1) << "the checks of an upstream that stays go on";
  config.proxy = {};
  Reload();
  EXPECT_EQ(Metric(gauge), 0);
}

TEST_F(ReloadTest, GrpcFilterAndUpstreams) {
  ScriptedUpstream acme;
  StartGateway();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(app->grpc_port()),
                                                 grpc::InsecureChannelCredentials(), arguments);
  const auto code = [&](const std::string& method) {
    AnyCall call(channel, method);
    call.Start();
    call.Write("m");
    call.WritesDone();
    call.Read();
    return call.Finish().error_code();
  };
  EXPECT_EQ(code("/acme.v1.Any/Echo"), grpc::StatusCode::UNIMPLEMENTED);
  GrpcUpstream entry;
  entry.name = "acme";
  entry.addresses = {acme.address()};
  entry.methods = {"acme.v1"};
  config.grpc.upstreams = {entry};
  Reload();
  EXPECT_EQ(code("/acme.v1.Any/Echo"), grpc::StatusCode::OK);

  AnyCall open(channel, "/acme.v1.Any/Echo");
  open.Start();
  ASSERT_TRUE(open.Write("before"));
  ASSERT_EQ(open.Read(), "before");
  config.grpc.deny = {"acme.v1"};
  Reload();
  EXPECT_EQ(code("/acme.v1.Any/Echo"), grpc::StatusCode::UNIMPLEMENTED);
  config.grpc = {};
  Reload();
  // The call that was open goes on to its end.
  ASSERT_TRUE(open.Write("after"));
  EXPECT_EQ(open.Read(), "after");
  ASSERT_TRUE(open.WritesDone());
  EXPECT_FALSE(open.Read());
  EXPECT_TRUE(open.Finish().ok());
}

TEST_F(ReloadTest, TranscodingByAnother) {
  TestUpstream other([](const http::Request&) { return http::Response::Json(200, R"({"by":1})"); });
  StartGateway();
  EXPECT_EQ(Get("/api/v1/spaces/default/functions").status, 200);
  config.transcoding_by = other.url();
  Reload();
  EXPECT_EQ(Get("/api/v1/spaces/default/functions").body, R"({"by":1})");
  config.transcoding_by = "builtin";
  Reload();
  EXPECT_NE(Get("/api/v1/spaces/default/functions").body, R"({"by":1})");
}

TEST_F(ReloadTest, TimeoutsOfCallsAndPublishes) {
  executor.SetAnswer(nullptr);
  broker.SetMode(PublishMode::kSilent);
  StartGateway();
  config.invoke_timeout = std::chrono::milliseconds(150);
  config.publish_timeout = std::chrono::milliseconds(150);
  Reload();
  EXPECT_EQ(Post("/_invoke", "x", {{"Function-ID", "f"}}).status, 504);
  EXPECT_GE(Publish("1").status, 500);
}

TEST_F(ReloadTest, RequestsUnderWayGoOnWhateverIsExchanged) {
  TestUpstream one([](const http::Request&) { return Say("one"); });
  AddUpstream("one", {one.url()});
  UseKeys(std::string("a:") + kFirstKey + "\nb:" + kSecondKey + "\n");
  const Config with_both = config;
  StartGateway();
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::vector<std::future<std::string>> askers;
  for (int i = 0; i < 3; ++i) {
    askers.push_back(std::async(std::launch::async, [&, i]() -> std::string {
      const HeaderList key = {{"X-API-Key", kFirstKey}};
      while (!stop) {
        const HttpAnswer answer =
            i == 0   ? Get("/one/x", key)
            : i == 1 ? Get("/api/v1/spaces/default/functions", key)
                     : Post("/events", "x", {{"X-API-Key", kFirstKey}, {"Event", "t"}});
        if (answer.status != (i == 2 ? 202 : 200)) {
          return std::to_string(answer.status) + " " + answer.body;
        }
        ++answered;
      }
      return "";
    }));
  }
  for (int i = 0; i < 20; ++i) {
    const int before = answered;
    ASSERT_TRUE(Eventually([&] { return answered > before + 3; }));
    config = with_both;
    if (i % 2 == 0) {
      Write("keys", std::string("a:") + kFirstKey + "\n");
      config.proxy.upstreams.front().keepalive_timeout = std::chrono::milliseconds(1'000 + i);
      config.http_hosts = {"x.example"};
      config.request_headers = {"Tenant"};
    } else {
      Write("keys", std::string("a:") + kFirstKey + "\nb:" + kSecondKey + "\n");
    }
    Reload();
    EXPECT_EQ(StatusWith(kSecondKey, "/one/x"), i % 2 == 0 ? 401 : 200) << i;
  }
  stop = true;
  for (auto& asker : askers) EXPECT_EQ(asker.get(), "");
}

TEST_F(ReloadTest, ACertificateIsRenewedAtItsPath) {
  const http::TestCertificates first;
  const http::TestCertificates second;
  const auto install = [&](const http::TestCertificates& from) {
    const auto copy = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(from.server_cert_file(), folder.File("cert.pem"), copy);
    std::filesystem::copy_file(from.server_key_file(), folder.File("key.pem"), copy);
  };
  install(first);
  config.http_tls.cert_file = folder.File("cert.pem");
  config.http_tls.key_file = folder.File("key.pem");
  StartGateway();
  http::EventLoops loops;
  const auto is_trusted = [&](const http::TestCertificates& authority) {
    auto client = http::Client::Create(loops, {.tls = {.ca_file = authority.ca_file()}});
    std::promise<bool> done;
    (*client)->Send({.url = "https://localhost:" + std::to_string(http_port()) + "/"},
                    [&](const auto& response) { done.set_value(response.ok()); });
    return done.get_future().get();
  };
  EXPECT_TRUE(is_trusted(first));
  install(second);
  EXPECT_FALSE(is_trusted(second));
  EXPECT_THAT(Reload(), ElementsAre("http.tls.cert_file"));
  EXPECT_TRUE(is_trusted(second));
  EXPECT_FALSE(is_trusted(first));
  // A key of another certificate is refused.
  std::filesystem::copy_file(first.server_key_file(), folder.File("key.pem"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(std::string(app->Reload(config).status().message()), HasSubstr("key.pem"));
  EXPECT_TRUE(is_trusted(second));
}

TEST_F(ReloadTest, LimitsAreThoseOfNewConnections) {
  StartGateway();
  EXPECT_EQ(Post("/events", std::string(2000, 'x'), {{"Event", "t"}}).status, 202);
  config.http_limits.body_bytes_max = 1024;
  Reload();
  EXPECT_EQ(Post("/events", std::string(2000, 'x'), {{"Event", "t"}}).status, 413);
  EXPECT_EQ(Post("/_invoke", std::string(2000, 'x'), {{"Function-ID", "f"}}).status, 413);
}

// A key that is marked as taken over and is not would be a lie: every one that is not marked keeps
// the running value, every one that is has the new one.
TEST_F(ReloadTest, KeysAreFixedOrTaken) {
  Config other;
  other.http_listen = {"127.0.0.1", 1};
  other.http_threads = 3;
  other.config_listen = other.grpc_listen = "127.0.0.1:1";
  other.event_broker_address = other.function_manager_address = other.function_executor_address =
      "127.0.0.1:1";
  other.peer_token_file = "elsewhere";
  other.http_hosts = {"a"};
  other.invoke_timeout = std::chrono::milliseconds(1'000);
  other.proxy.master_api_url = "http://a";
  const auto next = config::WithReloadableOf(config, other);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->http_listen.ToString(), config.http_listen.ToString());
  EXPECT_EQ(next->http_threads, config.http_threads);
  EXPECT_EQ(next->config_listen, config.config_listen);
  EXPECT_EQ(next->grpc_listen, config.grpc_listen);
  EXPECT_EQ(next->event_broker_address, config.event_broker_address);
  EXPECT_EQ(next->function_manager_address, config.function_manager_address);
  EXPECT_EQ(next->function_executor_address, config.function_executor_address);
  EXPECT_EQ(next->peer_token_file, config.peer_token_file);
  EXPECT_EQ(next->http_hosts, other.http_hosts);
  EXPECT_EQ(next->invoke_timeout, other.invoke_timeout);
  EXPECT_EQ(next->proxy.master_api_url, other.proxy.master_api_url);
}

TEST_F(ReloadTest, OnlyWhileItServes) {
  StartGateway();
  EXPECT_TRUE(app->Stop(std::chrono::seconds(10)).ok());
  EXPECT_EQ(app->Reload(config).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace penstock::gateway
