// What a client of the reverse proxy sees when an upstream fails, and what an upstream sees when a
// client does.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "tests/contract/gateway/proxy_fixture.h"

namespace penstock::gateway {
namespace {

using http::RawServer;
using http::RawSocket;
using std::chrono::milliseconds;
using testing::HasSubstr;

void ExpectError(const HttpAnswer& answer, int status, const std::string& reason) {
  EXPECT_EQ(answer.status, status);
  EXPECT_EQ(answer.Header("Content-Type"), "application/json");
  EXPECT_THAT(answer.body, HasSubstr(fmt::format(R"("reason":"{}")", reason)));
  EXPECT_THAT(answer.body, HasSubstr(R"(upstream \"shop\": )"));
  EXPECT_THAT(answer.body, HasSubstr(R"("upstream":"shop")"));
  EXPECT_FALSE(answer.Header("X-Request-Id").empty());
}

TEST_F(ProxyTest, ADeadServerIs502) {
  const http::DeadPort dead;
  AddUpstream("shop", {fmt::format("http://127.0.0.1:{}", dead.port())});
  StartGateway();
  ExpectError(Get("/shop"), 502, "CONNECT_FAILED");
  ExpectError(Post("/shop", "body"), 502, "CONNECT_FAILED");
  // Three tries each.
  EXPECT_EQ(
      Metric(R"(penstock_gateway_proxy_failures_total{upstream="shop",reason="CONNECT_FAILED"})"),
      6);
  EXPECT_EQ(Metric(R"(penstock_gateway_proxy_retries_total{upstream="shop"})"), 4);
  EXPECT_EQ(Metric(R"(penstock_gateway_proxy_requests_total{upstream="shop",status="5xx"})"), 2);
}

TEST_F(ProxyTest, ANameThatIsNoneIs502) {
  AddUpstream("shop", {"http://nowhere.invalid:80"});
  StartGateway();
  ExpectError(Get("/shop"), 502, "DNS_FAILED");
}

TEST_F(ProxyTest, AServerThatDoesNotAnswerIs504) {
  RawServer upstream([](RawSocket& peer, int) { peer.ReadAll(); });
  AddUpstream("shop", {upstream.Url("")}).response_timeout = milliseconds(50);
  StartGateway();
  ExpectError(Get("/shop"), 504, "RESPONSE_TIMEOUT");
  // Not tried again.
  EXPECT_EQ(Metric(R"(penstock_gateway_proxy_retries_total{upstream="shop"})"), 0);
  StopGateway();
}

TEST_F(ProxyTest, WhatIsNoHttpIs502) {
  RawServer upstream([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")}).retries = 0;
  StartGateway();
  ExpectError(Get("/shop"), 502, "RESPONSE_MALFORMED");
  StopGateway();
}

TEST_F(ProxyTest, AnotherServerIsTriedWhenNothingWasSent) {
  const http::DeadPort dead;
  TestUpstream alive;
  AddUpstream("shop", {fmt::format("http://127.0.0.1:{}", dead.port()), alive.url()});
  StartGateway();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Post("/shop", "body").body, "body");
}

TEST_F(ProxyTest, OnlyWhatIsSafeIsSentTwice) {
  std::atomic<int> requests{0};
  RawServer upstream([&](RawSocket& peer, int) {
    if (peer.ReadUntil("\r\n\r\n").empty()) return;
    ++requests;
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  ExpectError(Post("/shop", "body"), 502, "CONNECTION_LOST");
  EXPECT_EQ(requests.exchange(0), 1);
  ExpectError(Post("/shop", ""), 502, "CONNECTION_LOST");
  EXPECT_EQ(requests.exchange(0), 1);
  ExpectError(Ask(http_port(), {"PUT", "/shop", {}, "body"}), 502, "CONNECTION_LOST");
  EXPECT_EQ(requests.exchange(0), 1);
  ExpectError(Get("/shop"), 502, "CONNECTION_LOST");
  EXPECT_EQ(requests.exchange(0), 3);
}

TEST_F(ProxyTest, AConnectionThatTheServerClosedMeanwhileHarmsNobody) {
  RawServer upstream([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  AddUpstream("shop", {upstream.Url("")}).retries = 0;
  config.http_threads = 1;
  StartGateway();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Get("/shop").body, "ok");
}

// A body that ends too early, in each framing: no client may take it for all.
TEST_F(ProxyTest, ACutAnswerIsNoCompleteOne) {
  RawServer upstream([](RawSocket& peer, int) {
    const std::string request = peer.ReadUntil("\r\n\r\n");
    if (request.find("/shop/length") != std::string::npos) {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    } else {
      peer.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    }
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  for (const char* path : {"/shop/length", "/shop/chunked"}) {
    RawSocket client = Connect();
    client.Send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    const std::string answer = client.ReadAll();
    EXPECT_THAT(answer, testing::AnyOf(testing::EndsWith("half"), testing::EndsWith("half\r\n")))
        << path;
  }
  // The end of the connection is the end of the body here, so it must not be an orderly one.
  RawSocket client = Connect();
  client.Send("GET /shop/chunked HTTP/1.0\r\n\r\n");
  std::string received;
  char bytes[4096];
  ssize_t size = 0;
  while ((size = recv(client.fd(), bytes, sizeof(bytes), 0)) > 0) {
    received.append(bytes, static_cast<std::size_t>(size));
  }
  EXPECT_EQ(size, -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ProxyTest, AnAnswerThatStallsIsCut) {
  RawServer upstream([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")}).idle_timeout = milliseconds(50);
  StartGateway();
  RawSocket client = Connect();
  client.Send("GET /shop HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), testing::EndsWith("half"));
  StopGateway();
}

TEST_F(ProxyTest, AClientThatGoesAwayEndsTheUpstreamsRequest) {
  std::atomic<int> asked{0};
  std::atomic<int> closed{0};
  RawServer upstream([&](RawSocket& peer, int) {
    const std::string request = peer.ReadUntil("\r\n\r\n");
    if (request.find("/shop/begun") != std::string::npos) {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    }
    ++asked;
    peer.ReadAll();
    ++closed;
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  int expected = 0;
  for (const char* path : {"/shop/waiting", "/shop/begun"}) {
    RawSocket client = Connect();
    client.Send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    ++expected;
    EXPECT_TRUE(Eventually([&] { return asked == expected; }));
    client.Close();
    EXPECT_TRUE(Eventually([&] { return closed == expected; })) << path;
  }
  // In the middle of its body.
  RawSocket client = Connect();
  client.Send("POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  ++expected;
  EXPECT_TRUE(Eventually([&] { return asked == expected; }));
  client.Close();
  EXPECT_TRUE(Eventually([&] { return closed == expected; }));
  EXPECT_TRUE(Eventually([this] { return Metric("penstock_gateway_http_connections") == 0; }));
}

TEST_F(ProxyTest, ATunnelEndsThatItsServerHasLeft) {
  RawServer upstream([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  });
  AddUpstream("shop", {upstream.Url("")}).idle_timeout = milliseconds(200);
  StartGateway();
  const std::string ask =
      "GET /shop HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
  // One that goes on to speak, and one that says nothing.
  RawSocket speaker = Connect();
  speaker.Send(ask);
  EXPECT_THAT(speaker.ReadUntil("\r\n\r\n"), HasSubstr("101"));
  while (speaker.Send("frame")) std::this_thread::yield();
  RawSocket silent = Connect();
  silent.Send(ask);
  EXPECT_THAT(silent.ReadUntil("\r\n\r\n"), HasSubstr("101"));
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_TRUE(Eventually([this] { return Metric("penstock_gateway_http_connections") == 0; }));
}

TEST_F(ProxyTest, AFailingServerIsEjected) {
  TestUpstream failing([](const http::Request&) { return http::Response::Text(503, "busy"); });
  TestUpstream good;
  ProxyUpstream& shop = AddUpstream("shop", {failing.url(), good.url()});
  shop.consecutive_failures = 3;
  shop.ejection_time = std::chrono::hours(1);
  config.http_threads = 1;
  StartGateway();
  for (int i = 0; i < 20; ++i) Get("/shop");
  EXPECT_EQ(failing.requests().size(), 3u);
  EXPECT_EQ(good.requests().size(), 17u);
  EXPECT_EQ(Metric(R"(penstock_gateway_proxy_ejections_total{upstream="shop"})"), 1);
}

TEST_F(ProxyTest, ActiveChecksDecideWhoGetsRequests) {
  std::atomic<bool> healthy{true};
  TestUpstream upstream([&](const http::Request& request) {
    if (request.target == "/healthz") return http::Response::Text(healthy ? 200 : 500, "");
    return http::Response::Text(200, "ok");
  });
  ProxyUpstream& shop = AddUpstream("shop", {upstream.url()});
  shop.health_path = "/healthz";
  shop.health_interval = milliseconds(5);
  shop.health_thresholds = {.healthy = 2, .unhealthy = 2};
  StartGateway();
  EXPECT_EQ(Get("/shop").status, 200);
  healthy = false;
  const std::string gauge = R"(penstock_gateway_proxy_unhealthy_servers{upstream="shop"})";
  EXPECT_TRUE(Eventually([&] { return Metric(gauge) == 1; }));
  EXPECT_TRUE(Eventually([&] { return Get("/shop").status == 503; }));
  ExpectError(Get("/shop"), 503, "NO_HEALTHY_SERVER");
  healthy = true;
  EXPECT_TRUE(Eventually([&] { return Get("/shop").status == 200; }));
  EXPECT_EQ(Metric(gauge), 0);
}

TEST_F(ProxyTest, FullConnectionsAre503) {
  std::atomic<int> asked{0};
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    ++asked;
    peer.ReadAll();
  });
  ProxyUpstream& shop = AddUpstream("shop", {upstream.Url("")});
  shop.connections_max = 1;
  shop.connect_timeout = milliseconds(50);
  shop.retries = 0;
  config.http_threads = 1;
  StartGateway();
  RawSocket holder = Connect();
  holder.Send("GET /shop HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return asked == 1; }));
  ExpectError(Get("/shop"), 503, "QUEUE_TIMEOUT");
  holder.Close();
}

}  // namespace
}  // namespace penstock::gateway
