#include "libs/proxy/forwarding.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

namespace penstock::proxy {
namespace {

// "Name: value" lines in order.
std::vector<std::string> Lines(const http::Headers& headers) {
  std::vector<std::string> lines;
  for (const http::Headers::Field field : headers) {
    lines.push_back(fmt::format("{}: {}", field.name, field.value));
  }
  return lines;
}

http::Request RequestWith(http::Headers headers) {
  http::Request request;
  request.method = "GET";
  request.target = "/";
  request.headers = std::move(headers);
  request.remote_address = "192.0.2.7";
  return request;
}

const ForwardRules kRules{.origin_host = "up.example:8000"};

TEST(ForwardingTest, AddsWhatTheUpstreamIsToKnow) {
  const http::Request request = RequestWith({{"Host", "shop.example"}, {"Accept", "*/*"}});
  EXPECT_EQ(Lines(HeadersForUpstream(request, kRules, "id-1", false)),
            (std::vector<std::string>{
                "Host: shop.example", "Accept: */*", "X-Forwarded-For: 192.0.2.7",
                "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: http",
                "X-Origin-Host: up.example:8000", "X-Request-Id: id-1", "Via: 1.1 penstock"}));
}

TEST(ForwardingTest, RewritesHostOnDemand) {
  http::Request request = RequestWith({{"Host", "shop.example"}});
  request.is_tls = true;
  const http::Headers headers =
      HeadersForUpstream(request, {.host = "up.example", .origin_host = "up.example"}, "id", false);
  EXPECT_EQ(headers.GetAll("host"), (std::vector<std::string_view>{"up.example"}));
  EXPECT_EQ(headers.Get("x-forwarded-host"), "shop.example");
  EXPECT_EQ(headers.Get("x-forwarded-proto"), "https");
}

TEST(ForwardingTest, ARequestWithoutAHostGetsTheServers) {
  const http::Headers headers = HeadersForUpstream(RequestWith({}), kRules, "id", false);
  EXPECT_EQ(headers.Get("host"), "up.example:8000");
  EXPECT_FALSE(headers.Has("x-forwarded-host"));
}

TEST(ForwardingTest, AppendsToWhatEarlierProxiesSaid) {
  const http::Request request = RequestWith({{"Host", "h"},
                                             {"X-Forwarded-For", "198.51.100.1"},
                                             {"x-forwarded-for", "203.0.113.9"},
                                             {"X-Forwarded-Proto", "https"},
                                             {"X-Forwarded-Host", "public.example"},
                                             {"X-Origin-Host", "spoofed"},
                                             {"X-Request-Id", "theirs"},
                                             {"Via", "1.0 fred"}});
  const http::Headers kept = HeadersForUpstream(request, kRules, "ours", false);
  EXPECT_EQ(kept.GetAll("X-Forwarded-For"),
            (std::vector<std::string_view>{"198.51.100.1, 203.0.113.9, 192.0.2.7"}));
  EXPECT_EQ(kept.Get("X-Forwarded-Proto"), "https, http");
  EXPECT_EQ(kept.Get("X-Forwarded-Host"), "public.example, h");
  EXPECT_EQ(kept.GetAll("X-Origin-Host"), (std::vector<std::string_view>{"up.example:8000"}));
  EXPECT_EQ(kept.GetAll("X-Request-Id"), (std::vector<std::string_view>{"ours"}));
  EXPECT_EQ(kept.GetAll("Via"), (std::vector<std::string_view>{"1.0 fred, 1.1 penstock"}));

  ForwardRules rules = kRules;
  rules.forwarded = ForwardedFields::kReplace;
  const http::Headers replaced = HeadersForUpstream(request, rules, "ours", false);
  EXPECT_EQ(replaced.GetAll("X-Forwarded-For"), (std::vector<std::string_view>{"192.0.2.7"}));
  EXPECT_EQ(replaced.Get("X-Forwarded-Proto"), "http");
  EXPECT_EQ(replaced.Get("X-Forwarded-Host"), "h");
  EXPECT_EQ(replaced.Get("Via"), "1.0 fred, 1.1 penstock");
}

TEST(ForwardingTest, DropsHopByHopFieldsOfRequests) {
  const std::pair<std::string_view, std::string_view> dropped[] = {
      {"Connection", "x-one, X-Two"},
      {"connection", "close,,x-three"},
      {"X-One", "1"},
      {"x-two", "2"},
      {"X-THREE", "3"},
      {"Keep-Alive", "timeout=5"},
      {"Proxy-Connection", "keep-alive"},
      {"Proxy-Authorization", "Basic x"},
      {"Proxy-Authenticate", "Basic"},
      {"TE", "trailers"},
      {"Trailer", "X-Sum"},
      {"Transfer-Encoding", "chunked"},
      {"Content-Length", "5"},
      {"Upgrade", "h2c"},
      {"Expect", "100-continue"},
  };
  http::Request request = RequestWith({{"Host", "h"}, {"X-Four", "4"}, {"Cookie", "a=b"}});
  for (const auto& [name, value] : dropped) request.headers.Add(name, value);
  const http::Headers headers = HeadersForUpstream(request, kRules, "id", false);
  for (const auto& [name, value] : dropped) EXPECT_FALSE(headers.Has(name)) << name;
  EXPECT_EQ(headers.Get("X-Four"), "4");
  EXPECT_EQ(headers.Get("Cookie"), "a=b");
}

TEST(ForwardingTest, ConnectionCannotTakeAwayWhatTheProxySays) {
  const http::Request request = RequestWith(
      {{"Host", "h"}, {"Connection", "X-Forwarded-For, X-Origin-Host, Host, X-Request-Id, Via"}});
  const http::Headers headers = HeadersForUpstream(request, kRules, "id", false);
  for (const char* name : {"X-Forwarded-For", "X-Origin-Host", "Host", "X-Request-Id", "Via"}) {
    EXPECT_EQ(headers.GetAll(name).size(), 1u) << name;
  }
}

TEST(ForwardingTest, KeepsRepeatedFieldsInOrder) {
  const http::Headers answer{{"Set-Cookie", "a=1"}, {"X", "y"}, {"Set-Cookie", "b=2"}};
  EXPECT_EQ(HeadersForClient(answer, "id", false).GetAll("set-cookie"),
            (std::vector<std::string_view>{"a=1", "b=2"}));
}

TEST(ForwardingTest, DropsHopByHopFieldsOfAnswers) {
  const http::Headers answer{{"Connection", "close, X-Internal"},
                             {"X-Internal", "1"},
                             {"Keep-Alive", "timeout=5"},
                             {"Transfer-Encoding", "chunked"},
                             {"Content-Length", "5"},
                             {"Trailer", "X-Sum"},
                             {"Upgrade", "h2c"},
                             {"Date", "today"},
                             {"Server", "up"},
                             {"Via", "1.1 cache"}};
  EXPECT_EQ(Lines(HeadersForClient(answer, "id", false)),
            (std::vector<std::string>{"Date: today", "Server: up", "Via: 1.1 cache, 1.1 penstock",
                                      "X-Request-Id: id"}));
}

TEST(ForwardingTest, TheUpstreamsRequestIdStays) {
  EXPECT_EQ(HeadersForClient({{"x-request-id", "up"}}, "id", false).GetAll("X-Request-Id"),
            (std::vector<std::string_view>{"up"}));
}

TEST(ForwardingTest, PassesAnUpgradeOn) {
  const http::Request request = RequestWith({{"Host", "h"},
                                             {"Connection", "keep-alive, Upgrade"},
                                             {"Upgrade", "websocket"},
                                             {"Sec-WebSocket-Key", "k"}});
  ASSERT_TRUE(AsksToUpgrade(request));
  const http::Headers headers = HeadersForUpstream(request, kRules, "id", true);
  EXPECT_EQ(headers.GetAll("connection"), (std::vector<std::string_view>{"upgrade"}));
  EXPECT_EQ(headers.GetAll("upgrade"), (std::vector<std::string_view>{"websocket"}));
  EXPECT_EQ(headers.Get("Sec-WebSocket-Key"), "k");
  const http::Headers answer = HeadersForClient(
      {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", "a"}}, "id",
      true);
  EXPECT_EQ(answer.Get("Upgrade"), "websocket");
  EXPECT_EQ(answer.Get("Connection"), "upgrade");
  EXPECT_EQ(answer.Get("Sec-WebSocket-Accept"), "a");
}

TEST(ForwardingTest, AsksToUpgradeOnlyWhereATunnelIsPossible) {
  const http::Headers good{{"Connection", "upgrade"}, {"Upgrade", "websocket"}};
  http::Request request = RequestWith(good);
  EXPECT_TRUE(AsksToUpgrade(request));
  request.is_http_1_0 = true;
  EXPECT_FALSE(AsksToUpgrade(request));
  EXPECT_FALSE(AsksToUpgrade(RequestWith({{"Upgrade", "websocket"}})));
  EXPECT_FALSE(AsksToUpgrade(RequestWith({{"Connection", "upgrade"}, {"Upgrade", "x, H2C"}})));
  EXPECT_FALSE(AsksToUpgrade(RequestWith({{"Connection", "upgrade"}})));
  for (const auto& [name, value] :
       {std::pair("Content-Length", "3"), std::pair("Transfer-Encoding", "chunked")}) {
    http::Request with_body = RequestWith(good);
    with_body.headers.Add(name, value);
    EXPECT_FALSE(AsksToUpgrade(with_body)) << name;
  }
}

TEST(ForwardingTest, RetriesOnlyWhereItIsSafe) {
  struct Case {
    FailedTry failed;
    int retries_max;
    bool may;
  };
  const Case cases[] = {
      // Nothing was sent: any method, with a body too.
      {{.is_idempotent = false, .has_body = true}, 1, true},
      {{.is_idempotent = true}, 1, true},
      {{.was_timeout = true}, 1, true},
      // Sent: only what may be carried out twice and has no body.
      {{.is_idempotent = true, .was_sent = true}, 1, true},
      {{.is_idempotent = true, .has_body = true, .was_sent = true}, 1, false},
      {{.is_idempotent = false, .was_sent = true}, 1, false},
      {{.is_idempotent = true, .was_sent = true, .was_timeout = true}, 1, false},
      // Bounded.
      {{.tries = 1}, 0, false},
      {{.tries = 2}, 1, false},
      {{.tries = 2}, 2, true},
      {{.is_idempotent = true, .was_sent = true, .tries = 3}, 2, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(MayRetry(c.failed, c.retries_max), c.may)
        << c.failed.is_idempotent << c.failed.has_body << c.failed.was_sent << c.failed.tries;
  }
}

TEST(ForwardingTest, KnowsIdempotentMethods) {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}) {
    EXPECT_TRUE(IsIdempotent(method)) << method;
  }
  for (const char* method : {"POST", "PATCH", "get", "PURGE", ""}) {
    EXPECT_FALSE(IsIdempotent(method)) << method;
  }
}

}  // namespace
}  // namespace penstock::proxy
