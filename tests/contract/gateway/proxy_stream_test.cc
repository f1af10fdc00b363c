// Bodies in pieces, tunnels, and who waits for whom.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>

#include "tests/contract/gateway/proxy_fixture.h"

namespace penstock::gateway {
namespace {

using http::RawServer;
using http::RawSocket;
using testing::EndsWith;
using testing::HasSubstr;

// A flag that one thread sets and another waits for.
class Signal {
 public:
  void Set() {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    wake_.notify_all();
  }
  bool Wait() {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, http::kTestDeadline, [this] { return is_set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_set_ = false;
};

std::string Chunked(std::string_view bytes, std::size_t chunk) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    const std::string_view piece = bytes.substr(at, chunk);
    text += fmt::format("{:x}\r\n", piece.size()).append(piece).append("\r\n");
  }
  return text + "0\r\n\r\n";
}

TEST_F(ProxyTest, ABodyGoesOnBeforeItsEnd) {
  Signal first_half;
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("first");
    first_half.Set();
    peer.ReadUntil("second");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send("POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nfirst");
  EXPECT_TRUE(first_half.Wait());
  client.Send("second");
  EXPECT_THAT(client.ReadResponse(), EndsWith("done"));
  StopGateway();
}

TEST_F(ProxyTest, AnAnswerGoesOnBeforeItsEnd) {
  Signal has_first;
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer.Send("5\r\nfirst\r\n");
    has_first.Wait();
    peer.Send("6\r\nsecond\r\n0\r\n\r\n");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send("GET /shop HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("first"), EndsWith("first"));
  has_first.Set();
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), HasSubstr("second"));
  StopGateway();
}

TEST_F(ProxyTest, LongBodiesArriveAsTheyWereSent) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  StartGateway();
  const std::string body = TestBytes(20 << 20);
  const HttpAnswer with_length = Post("/shop", body);
  EXPECT_EQ(with_length.status, 200);
  EXPECT_TRUE(with_length.body == body);

  RawSocket client = Connect();
  client.Send(
      "POST /shop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
      Chunked(body, 100'000));
  const std::string answer = client.ReadAll();
  EXPECT_TRUE(std::string_view(answer).ends_with(body)) << answer.substr(0, 300);
}

TEST_F(ProxyTest, ManySmallChunksArriveAsTheyWereSent) {
  const std::string body = TestBytes(5000);
  TestUpstream echo;
  AddUpstream("echo", {echo.url()});
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + Chunked(body, 3));
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  EXPECT_TRUE(Get("/shop").body == body);
  RawSocket client = Connect();
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
              Chunked(body, 1));
  EXPECT_TRUE(client.ReadResponse().ends_with(body));
  StopGateway();
}

TEST_F(ProxyTest, ASlowReaderHoldsTheUpstreamBack) {
  constexpr std::size_t kTotal = std::size_t{256} << 20;
  std::atomic<std::size_t> sent{0};
  Signal blocked;
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kTotal));
    sent = SendUntilBlocked(peer, kTotal);
    blocked.Set();
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect(64 * 1024);
  client.Send("GET /shop HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(blocked.Wait());
  // The buffers of four sockets, and 64 KiB of ours.
  EXPECT_LT(sent.load(), std::size_t{64} << 20);
  client.Close();
  StopGateway();
}

TEST_F(ProxyTest, ASlowUpstreamHoldsTheClientBack) {
  constexpr std::size_t kTotal = std::size_t{256} << 20;
  Signal over;
  RawServer upstream([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    over.Wait();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send(fmt::format("POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", kTotal));
  EXPECT_LT(SendUntilBlocked(client, kTotal), std::size_t{64} << 20);
  over.Set();
  client.Close();
  StopGateway();
}

TEST_F(ProxyTest, ContinueComesWhenTheUpstreamIsThere) {
  TestUpstream upstream;
  AddUpstream("shop", {upstream.url()});
  const http::DeadPort dead;
  AddUpstream("dead", {fmt::format("http://127.0.0.1:{}", dead.port())});
  StartGateway();
  RawSocket client = Connect();
  client.Send(
      "POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hello");
  EXPECT_THAT(client.ReadResponse(), EndsWith("hello"));
  EXPECT_FALSE(upstream.last().headers.Has("Expect"));
  // No upstream: no need to send the body.
  client.Send(
      "POST /dead HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), testing::StartsWith("HTTP/1.1 502"));
}

TEST_F(ProxyTest, AnAnswerBeforeTheEndOfTheBodyArrives) {
  RawServer upstream([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
    peer.ReadAll();
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send("POST /shop HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegin");
  const std::string answer = client.ReadResponse();
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("no!"));
  EXPECT_TRUE(client.IsAtEnd());
  StopGateway();
}

TEST_F(ProxyTest, ABadChunkIsRefused) {
  RawServer upstream([](RawSocket& peer, int) { peer.ReadAll(); });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send(
      "POST /shop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
  EXPECT_THAT(client.ReadAll(), testing::StartsWith("HTTP/1.1 400"));
  StopGateway();
}

TEST_F(ProxyTest, TunnelsWebSockets) {
  RawServer upstream([](RawSocket& peer, int) {
    const std::string request = peer.ReadUntil("\r\n\r\n");
    EXPECT_THAT(request, HasSubstr("Connection: upgrade\r\n"));
    EXPECT_THAT(request, HasSubstr("Upgrade: websocket\r\n"));
    peer.Send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: a\r\n\r\nhello");
    while (true) {
      const std::string line = peer.ReadUntil("\n");
      if (!line.ends_with("\n")) break;
      peer.Send("echo " + line);
    }
    peer.Send("bye");
  });
  AddUpstream("shop", {upstream.Url("")});
  StartGateway();
  RawSocket client = Connect();
  // The client may speak before it has the answer.
  client.Send(
      "GET /shop HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, testing::StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(head, HasSubstr("Upgrade: websocket\r\n"));
  EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Accept: a\r\n"));
  EXPECT_EQ(client.ReadUntil("early\n"), "helloecho early\n");
  for (int i = 0; i < 3; ++i) {
    client.Send("again\n");
    EXPECT_EQ(client.ReadUntil("\n"), "echo again\n");
  }
  const std::string big = std::string(1 << 20, 'x') + "\n";
  client.Send(big);
  EXPECT_TRUE(client.ReadUntil("\n") == "echo " + big);
  // Each side ends for itself.
  client.ShutdownSend();
  EXPECT_EQ(client.ReadAll(), "bye");
  StopGateway();
}

TEST_F(ProxyTest, AnUpgradeThatIsRefusedIsAnAnswer) {
  TestUpstream upstream([](const http::Request&) { return http::Response::Text(403, "no"); });
  AddUpstream("shop", {upstream.url()});
  StartGateway();
  RawSocket client = Connect();
  for (int i = 0; i < 2; ++i) {
    client.Send(
        "GET /shop HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), testing::StartsWith("HTTP/1.1 403"));
  }
}

TEST_F(ProxyTest, ADrainFinishesAnswersAndEndsTunnels) {
  Signal asked;
  Signal go_on;
  RawServer slow([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsl");
    asked.Set();
    go_on.Wait();
    peer.Send("owly");
    peer.ReadAll();
  });
  RawServer tunnel([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    peer.ReadAll();
  });
  AddUpstream("slow", {slow.Url("")});
  AddUpstream("tunnel", {tunnel.Url("")});
  StartGateway();
  RawSocket client = Connect();
  client.Send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  RawSocket upgraded = Connect();
  upgraded.Send("GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  EXPECT_THAT(upgraded.ReadUntil("\r\n\r\n"), HasSubstr("101"));
  EXPECT_TRUE(asked.Wait());
  std::thread stop([this] { EXPECT_TRUE(app->Stop(std::chrono::seconds(20)).ok()); });
  EXPECT_TRUE(upgraded.IsAtEnd());
  go_on.Set();
  EXPECT_THAT(client.ReadResponse(), EndsWith("slowly"));
  stop.join();
}

}  // namespace
}  // namespace penstock::gateway
