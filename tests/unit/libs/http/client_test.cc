#include "libs/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

#include "libs/base/status.h"
#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::shared_ptr<const std::string> Body(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

class ClientTest : public HttpFixture {
 protected:
  // One connection at a time, so that reuse is certain.
  void MakeSingleClient() {
    loops_.RunAndWait(0, [] {});
    MakeClient({.connections_per_host_max = 1});
  }
  // Sends from loop 0, where the pool then is.
  absl::StatusOr<ClientResponse> SendOnLoop(ClientRequest request) {
    Outcome outcome;
    loops_.Post(0, [&, request = std::move(request)]() mutable {
      client_->Send(std::move(request), outcome.Capture());
    });
    return outcome.Wait();
  }
};

TEST_F(ClientTest, SendsAndReceives) {
  ServeEcho();
  MakeClient();
  const auto response = Send({.method = "POST", .url = Url("/a?b=c"), .body = Body("payload")});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "POST /a?b=c payload");
  EXPECT_THAT(std::string(response->headers.Get("content-type")), StartsWith("text/plain"));
  EXPECT_EQ(response->remote_address, "127.0.0.1");
}

TEST_F(ClientTest, WritesTheHeadThatTheRequestAsksFor) {
  std::string seen;
  RawServer server([&](RawSocket& peer, int) {
    seen = peer.ReadUntil("\r\n\r\n");
    peer.Send(kOk);
  });
  MakeClient();
  ASSERT_TRUE(Send({.method = "POST",
                    .url = server.Url("/p?q#f"),
                    .headers = {{"X-A", "b"}, {"Host", "other.test"}}})
                  .ok());
  EXPECT_EQ(seen, "POST /p?q HTTP/1.1\r\nX-A: b\r\nHost: other.test\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(Send({.url = server.Url()}).ok());
  EXPECT_EQ(seen, fmt::format("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", server.port()));
}

TEST_F(ClientTest, ReadsEveryKindOfBody) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kOk, "ok"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
       "abc"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
      {"HTTP/1.0 200 OK\r\n\r\nold", "old"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + std::string(kOk),
       "ok"},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""},
  };
  RawServer server([&](RawSocket& peer, int index) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(cases[index].first);
  });
  MakeClient();
  for (const auto& [bytes, body] : cases) {
    const auto response = Send({.url = server.Url()});
    ASSERT_TRUE(response.ok()) << bytes << ": " << response.status();
    EXPECT_EQ(response->body, body) << bytes;
  }
}

TEST_F(ClientTest, ExpectsNoBodyAfterHead) {
  RawServer server([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    peer.ReadUntil("\r\n\r\n");
    peer.Send(kOk);
    peer.ReadAll();
  });
  MakeSingleClient();
  ASSERT_TRUE(SendOnLoop({.method = "HEAD", .url = server.Url()}).ok());
  EXPECT_EQ(SendOnLoop({.url = server.Url()})->body, "ok");
  client_.reset();
}

TEST_F(ClientTest, ReusesConnections) {
  ServeEcho();
  MakeSingleClient();
  for (int i = 0; i < 20; ++i) {
    const auto response = SendOnLoop({.url = Url(fmt::format("/{}", i))});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, fmt::format("GET /{} ", i));
  }
  EXPECT_EQ(server_->Stats().connections_total, 1U);
  EXPECT_EQ(client_->Stats().connections_opened_total, 1U);
  EXPECT_EQ(client_->Stats().connections_reused_total, 19U);
}

TEST_F(ClientTest, RenewedConnectionsAreNotUsedAgain) {
  ServeEcho();
  MakeSingleClient();
  ASSERT_TRUE(SendOnLoop({.url = Url("/")}).ok());
  client_->RenewConnections();
  ASSERT_TRUE(SendOnLoop({.url = Url("/")}).ok());
  ASSERT_TRUE(SendOnLoop({.url = Url("/")}).ok());
  EXPECT_EQ(client_->Stats().connections_opened_total, 2U);
  EXPECT_EQ(client_->Stats().connections_reused_total, 1U);
}

TEST_F(ClientTest, AConnectionThatIsInUseClosesAfterItsRequest) {
  std::promise<void> asked;
  std::promise<void> may_answer;
  RawServer server([&](RawSocket& peer, int index) {
    peer.ReadUntil("\r\n\r\n");
    if (index == 0) {
      asked.set_value();
      may_answer.get_future().wait();
    }
    peer.Send(kOk);
    EXPECT_TRUE(index > 0 || peer.IsAtEnd());
  });
  MakeSingleClient();
  Outcome first;
  loops_.Post(0, [&] { client_->Send({.url = server.Url()}, first.Capture()); });
  asked.get_future().wait();
  client_->RenewConnections();
  may_answer.set_value();
  EXPECT_TRUE(first.Wait().ok());
  EXPECT_TRUE(SendOnLoop({.url = server.Url()}).ok());
}

TEST_F(ClientTest, DoesNotReuseWhatTheServerCloses) {
  RawServer server([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    peer.ReadAll();
  });
  MakeSingleClient();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(SendOnLoop({.url = server.Url()}).ok());
  EXPECT_EQ(client_->Stats().connections_opened_total, 3U);
}

TEST_F(ClientTest, QueuesAboveTheConnectionLimit) {
  HeldExchanges held;
  Serve(held.AsHandler());
  MakeClient({.connections_per_host_max = 4, .queue_per_host_max = 2});
  std::vector<Outcome> outcomes(5);
  loops_.RunAndWait(0, [&] {
    for (int i = 0; i < 5; ++i) {
      client_->Send({.url = Url(fmt::format("/{}", i))}, outcomes[i].Capture());
    }
  });
  // Two of the four connections belong to this loop; two requests wait; the fifth is refused.
  const absl::Status refused = outcomes[4].Wait().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), kQueueFull);
  EXPECT_TRUE(WaitFor([&] { return server_->Stats().connections_open == 2; }));
  for (int i = 0; i < 4; ++i) {
    const auto exchange = held.Take(fmt::format("/{}", i));
    ASSERT_NE(exchange, nullptr) << i;
    exchange->Respond(Response::Text(200, std::to_string(i)));
    EXPECT_EQ(outcomes[i].Wait()->body, std::to_string(i));
  }
  EXPECT_EQ(server_->Stats().connections_total, 2U);
}

TEST_F(ClientTest, ClosesUnusedConnections) {
  ServeEcho();
  MakeClient({.idle_timeout = 30ms});
  ASSERT_TRUE(Send({.url = Url()}).ok());
  EXPECT_TRUE(WaitFor([&] { return server_->Stats().connections_open == 0; }));
}

TEST_F(ClientTest, SendsLargeBodiesAndSharesThem) {
  ServerOptions options;
  options.limits.body_bytes_max = 32 * 1024 * 1024;
  Serve(
      [](Request request, std::shared_ptr<Exchange> exchange) {
        exchange->Respond(Response{200, {}, std::move(request.body)});
      },
      options);
  MakeClient();
  const auto body = Body(std::string(8 * 1024 * 1024, 'b'));
  std::vector<Outcome> outcomes(4);
  for (Outcome& outcome : outcomes) {
    client_->Send({.method = "PUT", .url = Url(), .body = body}, outcome.Capture());
  }
  for (Outcome& outcome : outcomes) {
    const auto response = outcome.Wait();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_TRUE(response->body == *body);
  }
}

TEST_F(ClientTest, TakesAnAnswerThatComesBeforeTheBodyIsSent) {
  RawServer server([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    peer.ReadAll();
  });
  MakeClient();
  const auto response = Send(
      {.method = "POST", .url = server.Url(), .body = Body(std::string(16 * 1024 * 1024, 'c'))});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 413);
}

TEST_F(ClientTest, RefusesRequestsThatCannotBeSent) {
  MakeClient();
  const std::vector<std::pair<ClientRequest, std::string>> cases = {
      {{.url = "nonsense"}, "url: "},
      {{.url = "http://u:p@h/"}, "url: "},
      {{.method = "GET /\r\n", .url = "http://h/"}, "method: "},
      {{.method = "", .url = "http://h/"}, "method: "},
      {{.method = "CONNECT", .url = "http://h/"}, "method: "},
      {{.url = "http://h/", .headers = {{"X", "a\r\nY: b"}}}, "headers: "},
      {{.url = "http://h/", .headers = {{"X Y", "a"}}}, "headers: "},
      {{.url = "http://h/", .headers = {{"content-length", "3"}}}, "headers: content-length"},
      {{.url = "http://h/", .headers = {{"Transfer-Encoding", "x"}}}, "headers: transfer-encoding"},
      {{.url = "http://h/", .headers = {{"Connection", "x"}}}, "headers: connection"},
  };
  for (const auto& [request, message] : cases) {
    const absl::Status status = Send(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << request.url;
    EXPECT_THAT(std::string(status.message()), StartsWith(message));
  }
}

TEST_F(ClientTest, RunsDoneOnTheCallersLoop) {
  ServeEcho();
  MakeClient();
  for (int loop = 0; loop < 2; ++loop) {
    std::atomic<int> done_on{-1};
    loops_.RunAndWait(loop, [&] {
      client_->Send({.url = Url()}, [&](const auto&) { done_on = loops_.CurrentLoop(); });
      EXPECT_EQ(done_on, -1) << "done ran inside Send";
    });
    EXPECT_TRUE(WaitFor([&] { return done_on == loop; }));
  }
}

TEST_F(ClientTest, ResolvesNames) {
  ServeEcho();
  MakeClient();
  const auto response = Send({.url = fmt::format("http://localhost:{}/n", server_->port())});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "GET /n ");
}

TEST_F(ClientTest, CarriesManyRequestsAtOnce) {
  ServeEcho();
  MakeClient({.connections_per_host_max = 8, .queue_per_host_max = 10'000});
  std::vector<Outcome> outcomes(2000);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    client_->Send({.method = "POST", .url = Url(), .body = Body(std::to_string(i))},
                  outcomes[i].Capture());
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto response = outcomes[i].Wait();
    ASSERT_TRUE(response.ok()) << response.status();
    ASSERT_EQ(response->body, fmt::format("POST / {}", i));
  }
  EXPECT_LE(server_->Stats().connections_total, 8U);
}

}  // namespace
}  // namespace penstock::http
