// What the reverse proxy passes on, and where to.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "libs/base/status.h"
#include "tests/contract/gateway/proxy_fixture.h"
#include "tests/unit/libs/http/test_certificate.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

TEST_F(ProxyTest, PassesARequestOnUnchanged) {
  TestUpstream upstream([](const http::Request& request) {
    http::Response response = http::Response::Text(201, "made " + request.body);
    response.headers.Add("Set-Cookie", "a=1");
    response.headers.Add("Set-Cookie", "b=2");
    return response;
  });
  AddUpstream("shop", {upstream.url()});
  StartGateway();

  const HttpAnswer answer =
      Ask(http_port(), {"PATCH", "/shop/a%20b?c=d%2Fe", {{"X-One", "1"}}, "body"});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "made body");
  EXPECT_EQ(std::count(answer.headers.begin(), answer.headers.end(),
                       std::pair<std::string, std::string>("Set-Cookie", "b=2")),
            1);
  const http::Request seen = upstream.last();
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/shop/a%20b?c=d%2Fe");
  EXPECT_EQ(seen.headers.Get("X-One"), "1");
  EXPECT_EQ(seen.headers.Get("Host"), fmt::format("127.0.0.1:{}", http_port()));
  EXPECT_EQ(seen.headers.Get("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(seen.headers.Get("X-Forwarded-Proto"), "http");
  EXPECT_EQ(seen.headers.Get("X-Origin-Host"), upstream.authority());
  EXPECT_EQ(seen.headers.Get("Via"), "1.1 penstock");
  EXPECT_FALSE(seen.headers.Has("Connection"));
  // The same id for the client and the server.
  EXPECT_FALSE(answer.Header("X-Request-Id").empty());
  EXPECT_EQ(answer.Header("X-Request-Id"), seen.headers.Get("X-Request-Id"));
  EXPECT_EQ(Metric(R"(penstock_gateway_proxy_requests_total{upstream="shop",status="2xx"})"), 1);
}

TEST_F(ProxyTest, RewritesThePrefixWhereTheRouteSaysSo) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  config.proxy.routes[0].prefix_rewrite = "/v2";
  StartGateway();
  EXPECT_EQ(Get("/shop/a?b=/shop").status, 200);
  EXPECT_EQ(upstream.last().target, "/v2/a?b=/shop");
}

TEST_F(ProxyTest, SendsTheHostThatTheUpstreamIsToHave) {
  TestUpstream upstream;
  AddUpstream("own", {upstream.url()}).host = "upstream";
  AddUpstream("named", {upstream.url()}).host = "internal.example:81";
  StartGateway();
  EXPECT_EQ(Get("/own", {{"Host", "public.example"}}).status, 200);
  EXPECT_EQ(upstream.last().headers.Get("Host"), upstream.authority());
  EXPECT_EQ(upstream.last().headers.Get("X-Forwarded-Host"), "public.example");
  EXPECT_EQ(Get("/named", {{"Host", "public.example"}}).status, 200);
  EXPECT_EQ(upstream.last().headers.Get("Host"), "internal.example:81");
}

TEST_F(ProxyTest, SpeaksTlsWithTheHostRewritten) {
  const http::TestCertificates certificates;
  http::ServerOptions options;
  options.tls.cert_file = certificates.server_cert_file();
  options.tls.key_file = certificates.server_key_file();
  TestUpstream upstream(nullptr, std::move(options));
  const std::string port = upstream.authority().substr(10);
  AddUpstream("safe", {"https://localhost:" + port}).tls_ca_file = certificates.ca_file();
  AddUpstream("unknown", {"https://localhost:" + port});
  StartGateway();
  const std::string body = TestBytes(3 << 20);
  const HttpAnswer answer = Post("/safe", body, {{"Host", "public.example"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body == body);
  EXPECT_EQ(upstream.last().headers.Get("Host"), "localhost:" + port);
  // A certificate that nobody vouches for.
  const HttpAnswer refused = Get("/unknown");
  EXPECT_EQ(refused.status, 502);
  EXPECT_THAT(refused.body, HasSubstr("TLS_FAILED"));
}

TEST_F(ProxyTest, ReusesConnections) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  config.http_threads = 1;
  StartGateway();
  http::RawSocket client = Connect();
  for (int i = 0; i < 5; ++i) {
    client.Send("POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\n\r\nhi"));
  }
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST_F(ProxyTest, AnswersPipelinedRequestsInOrder) {
  TestUpstream upstream([](const http::Request& request) {
    return http::Response::Text(200, request.target + request.body);
  });
  AddUpstream("shop", {upstream.url()});
  StartGateway();
  http::RawSocket client = Connect();
  client.Send(
      "POST /shop/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
      "GET /shop/2 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /shop/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
      "GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\n\r\n/shop/1a"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\n\r\n/shop/2"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\n\r\n/shop/3c"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("404"));
}

TEST_F(ProxyTest, LeavesTheGatewaysOwnPathsAlone) {
  TestUpstream upstream;
  AddUpstream("all", {upstream.url()});
  config.proxy.routes[0].path_prefix = "/";
  AddUpstream("host", {upstream.url()});
  config.proxy.routes[1].path_prefix = "/";
  config.proxy.routes[1].host = "shop.example";
  StartGateway();
  EXPECT_EQ(Get("/anything").status, 200);
  EXPECT_EQ(upstream.requests().size(), 1u);
  EXPECT_EQ(Publish("e1").status, 202);
  EXPECT_EQ(Get("/api/v1/nothing").status, 404);
  EXPECT_EQ(Get("/_nothing").status, 404);
  EXPECT_EQ(upstream.requests().size(), 1u);
  // Under a host of its own, all paths are the upstream's.
  EXPECT_EQ(Get("/api/v1/nothing", {{"Host", "shop.example"}}).status, 200);
  EXPECT_EQ(Get("/events", {{"Host", "Shop.Example:80"}}).status, 200);
  EXPECT_EQ(upstream.requests().size(), 3u);
}

TEST_F(ProxyTest, PassesNoDotSegmentsOn) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  StartGateway();
  for (const char* path : {"/shop/../admin", "/shop/%2e%2E/admin", "/shop/./a"}) {
    const HttpAnswer answer = Get(path);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_THAT(answer.body, HasSubstr("path: ")) << path;
  }
  EXPECT_TRUE(upstream.requests().empty());
}

TEST_F(ProxyTest, KeepsTheKeyOfTheGatewayToItself) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  const std::string key = "0123456789abcdef0123";
  std::ofstream(folder.File("keys")) << "alice:" << key << "\n";
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = folder.File("keys");
  StartGateway();
  EXPECT_EQ(Get("/shop").status, 401);
  EXPECT_TRUE(upstream.requests().empty());
  EXPECT_EQ(Get("/shop", {{"Authorization", "Bearer " + key}}).status, 200);
  EXPECT_FALSE(upstream.last().headers.Has("Authorization"));
  EXPECT_EQ(Get("/shop", {{"X-API-Key", key}, {"Authorization", "Basic abc"}}).status, 200);
  EXPECT_FALSE(upstream.last().headers.Has("X-API-Key"));
  EXPECT_EQ(upstream.last().headers.Get("Authorization"), "Basic abc");
}

TEST_F(ProxyTest, TheMasterApiTakesTheApi) {
  TestUpstream master([](const http::Request& request) {
    return http::Response::Json(200, fmt::format(R"({{"path":"{}"}})", request.target));
  });
  config.proxy.master_api_url = master.url();
  StartGateway();
  EXPECT_EQ(Get("/api/v1/spaces/default/functions?pageSize=1").body,
            R"({"path":"/api/v1/spaces/default/functions?pageSize=1"})");
  const http::Request seen = master.last();
  EXPECT_EQ(seen.headers.Get("Host"), master.authority());
  EXPECT_EQ(seen.headers.Get("X-Origin-Host"), master.authority());
  EXPECT_EQ(seen.headers.Get("X-Forwarded-Host"), fmt::format("127.0.0.1:{}", http_port()));
  // A page of another origin is kept away from it all the same, and /events is not its.
  EXPECT_EQ(Get("/api", {{"Sec-Fetch-Site", "cross-site"}}).status, 403);
  EXPECT_EQ(Get("/api", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(master.requests().size(), 1u);
  EXPECT_EQ(Publish("e1").status, 202);
}

TEST_F(ProxyTest, SpreadsRequestsByWeight) {
  TestUpstream a;
  TestUpstream b;
  AddUpstream("shop", {a.url(), b.url()}).servers[0].weight = 3;
  config.http_threads = 1;
  StartGateway();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(Get("/shop").status, 200);
  EXPECT_EQ(a.requests().size(), 6u);
  EXPECT_EQ(b.requests().size(), 2u);
}

TEST_F(ProxyTest, AnswersWithoutABodyHaveNone) {
  TestUpstream upstream([](const http::Request& request) {
    if (request.target == "/shop/204") return http::Response{.status = 204};
    if (request.target == "/shop/304") return http::Response{.status = 304};
    return http::Response::Text(200, "twelve bytes");
  });
  AddUpstream("shop", {upstream.url()});
  StartGateway();
  http::RawSocket client = Connect();
  client.Send("HEAD /shop HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 12\r\n"));
  for (const char* status : {"204", "304"}) {
    client.Send(fmt::format("GET /shop/{} HTTP/1.1\r\nHost: x\r\n\r\n", status));
    const std::string answer = client.ReadUntil("\r\n\r\n");
    EXPECT_THAT(answer, HasSubstr(fmt::format("HTTP/1.1 {}", status)));
    EXPECT_THAT(answer, testing::Not(HasSubstr("Transfer-Encoding")));
  }
  client.Send("GET /shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), testing::EndsWith("\r\n\r\ntwelve bytes"));
}

TEST_F(ProxyTest, ServesAClientOfHttp10) {
  http::RawServer upstream([](http::RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  http::RawSocket client = Connect();
  client.Send("GET /shop HTTP/1.0\r\n\r\n");
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nabcde"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("chunked")));
  StopGateway();
}

TEST(ProxyConfigTest, NamesTheFieldAtFault) {
  const auto base = [] {
    Config config;
    config.proxy.upstreams.push_back({.name = "up", .servers = {{.url = "http://127.0.0.1:1"}}});
    config.proxy.routes.push_back({.path_prefix = "/up", .upstream = "up"});
    return config;
  };
  EXPECT_TRUE(base().Validate().ok()) << base().Validate();
  struct Case {
    std::string field;
    std::function<void(ProxyOptions&)> change;
  };
  const Case cases[] = {
      {"proxy.upstreams[0].name", [](ProxyOptions& o) { o.upstreams[0].name = ""; }},
      {"proxy.upstreams[0].name", [](ProxyOptions& o) { o.upstreams[0].name = "master-api"; }},
      {"proxy.upstreams[1].name", [](ProxyOptions& o) { o.upstreams.push_back(o.upstreams[0]); }},
      {"proxy.upstreams[0].servers", [](ProxyOptions& o) { o.upstreams[0].servers.clear(); }},
      {"proxy.upstreams[0].servers[0].url",
       [](ProxyOptions& o) { o.upstreams[0].servers[0].url = "127.0.0.1:80"; }},
      {"proxy.upstreams[0].servers[0].url",
       [](ProxyOptions& o) { o.upstreams[0].servers[0].url = "http://h/path"; }},
      {"proxy.upstreams[0].host", [](ProxyOptions& o) { o.upstreams[0].host = "a b"; }},
      {"proxy.upstreams[0].host", [](ProxyOptions& o) { o.upstreams[0].host = "a\r\nb: c"; }},
      {"proxy.upstreams[0].health_check.path",
       [](ProxyOptions& o) { o.upstreams[0].health_path = "healthz"; }},
      {"proxy.upstreams[0].tls.cert_file",
       [](ProxyOptions& o) { o.upstreams[0].tls_cert_file = "x.pem"; }},
      {"proxy.routes[0].upstream", [](ProxyOptions& o) { o.routes[0].upstream = "other"; }},
      {"proxy.routes[0].path_prefix", [](ProxyOptions& o) { o.routes[0].path_prefix = ""; }},
      {"proxy.routes[0].path_prefix", [](ProxyOptions& o) { o.routes[0].path_prefix = "/api/v2"; }},
      {"proxy.routes[0].path_prefix", [](ProxyOptions& o) { o.routes[0].path_prefix = "/events"; }},
      {"proxy.routes[0].host", [](ProxyOptions& o) { o.routes[0].host = "h:80"; }},
      {"proxy.routes[0].prefix_rewrite", [](ProxyOptions& o) { o.routes[0].prefix_rewrite = "x"; }},
      {"proxy.routes[1]", [](ProxyOptions& o) { o.routes.push_back(o.routes[0]); }},
      {"master_api.url", [](ProxyOptions& o) { o.master_api_url = "ftp://h"; }},
  };
  for (const Case& c : cases) {
    Config config = base();
    c.change(config.proxy);
    const auto violations = FieldViolationsOf(config.Validate());
    ASSERT_FALSE(violations.empty()) << c.field;
    EXPECT_EQ(violations[0].field, c.field) << violations[0].description;
  }
}

}  // namespace
}  // namespace penstock::gateway
