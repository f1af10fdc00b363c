#include "libs/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ServerTest : public HttpFixture {};

constexpr char kGet[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  ServeEcho();
  RawSocket socket = Connect();
  for (int i = 0; i < 3; ++i) {
    socket.Send("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    const std::string response = socket.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(response, EndsWith("\r\n\r\nPOST /a?b hi"));
    EXPECT_THAT(response, Not(HasSubstr("Connection:")));
  }
  EXPECT_EQ(server_->Stats().connections_total, 1U);
  EXPECT_EQ(server_->Stats().requests_total, 3U);
  EXPECT_EQ(server_->Stats().responses_total[2], 3U);
}

TEST_F(ServerTest, TellsTheHandlerWhoAsks) {
  Serve([](Request request, std::shared_ptr<Exchange> exchange) {
    exchange->Respond(Response::Text(200, fmt::format("{} {} {}", request.remote_address,
                                                      request.remote_port > 0, request.is_tls)));
  });
  RawSocket socket = Connect();
  socket.Send(kGet);
  EXPECT_THAT(socket.ReadResponse(), EndsWith("127.0.0.1 true false"));
}

TEST_F(ServerTest, ClosesWhenAsked) {
  ServeEcho();
  for (const char* request :
       {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawSocket socket = Connect();
    socket.Send(request);
    EXPECT_THAT(socket.ReadAll(), HasSubstr("Connection: close\r\n")) << request;
  }
  RawSocket socket = Connect();
  socket.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(socket.ReadResponse(), HasSubstr("Connection: keep-alive\r\n"));
  socket.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(socket.ReadAll(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  HeldExchanges held;
  Serve(held.AsHandler());
  RawSocket socket = Connect();
  std::string requests;
  for (int i = 0; i < 3; ++i) requests += fmt::format("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", i);
  socket.Send(requests);
  for (int i = 0; i < 3; ++i) {
    const std::shared_ptr<Exchange> exchange = held.Take(fmt::format("/{}", i));
    ASSERT_NE(exchange, nullptr) << i;
    EXPECT_EQ(held.total(), i + 1) << "requests of one connection are handled one by one";
    exchange->Respond(Response::Text(200, std::to_string(i)));
    EXPECT_THAT(socket.ReadResponse(), EndsWith(fmt::format("\r\n\r\n{}", i)));
  }
}

TEST_F(ServerTest, AnswersManyPipelinedRequestsWithoutRecursion) {
  ServeEcho();
  RawSocket socket = Connect();
  constexpr int kCount = 20'000;
  std::thread sender([&socket] {
    std::string requests;
    for (int i = 0; i < kCount; ++i) requests += kGet;
    socket.Send(requests);
  });
  for (int i = 0; i < kCount; ++i) {
    ASSERT_THAT(socket.ReadResponse(), EndsWith("\r\n\r\nGET /x "));
  }
  sender.join();
}

TEST_F(ServerTest, BoundsWhatAPipelinerSendsAhead) {
  HeldExchanges held;
  ServerOptions options;
  options.limits.pipeline_bytes_max = 8 * 1024;
  Serve(held.AsHandler(), options);
  RawSocket socket = Connect();
  socket.Send(kGet);
  const std::shared_ptr<Exchange> exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  std::thread sender([&socket] { socket.Send(std::string(64 * 1024 * 1024, 'a')); });
  // The kernel's buffers fill up; the server itself stops after a bounded amount.
  std::uint64_t before = 1;
  ASSERT_TRUE(WaitFor([&] {
    const std::uint64_t now = server_->Stats().bytes_received;
    return now > 8 * 1024 && now == std::exchange(before, now);
  }));
  EXPECT_LT(server_->Stats().bytes_received, 100'000U);
  server_->Stop();
  sender.join();
}

TEST_F(ServerTest, SendsNoBodyToHead) {
  ServeEcho();
  RawSocket socket = Connect();
  socket.Send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 8\r\n"));
  socket.Send(kGet);
  EXPECT_THAT(socket.ReadResponse(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, SendsNeitherBodyNorLengthWith204) {
  Serve([](Request, std::shared_ptr<Exchange> exchange) {
    exchange->Respond(Response{204, {}, "ignored"});
  });
  RawSocket socket = Connect();
  socket.Send(std::string(kGet) + kGet);
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 204 No Content\r\n"));
}

TEST_F(ServerTest, AsksForTheBodyWhenTheClientWaits) {
  ServeEcho();
  RawSocket socket = Connect();
  socket.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.Send("ok");
  EXPECT_THAT(socket.ReadResponse(), EndsWith("POST / ok"));
}

TEST_F(ServerTest, ReadsChunkedBodies) {
  ServeEcho();
  RawSocket socket = Connect();
  socket.Send(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n");
  EXPECT_THAT(socket.ReadResponse(), EndsWith("POST / Wikipedia"));
}

TEST_F(ServerTest, CarriesLargeBodiesBothWays) {
  ServerOptions options;
  options.limits.body_bytes_max = 32 * 1024 * 1024;
  ServeEcho(options);
  RawSocket socket = Connect();
  std::string body;
  while (body.size() < 10'000'000) body += std::to_string(body.size()) + ",";
  std::thread sender([&] {
    socket.Send(
        fmt::format("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.size()));
    socket.Send(body);
  });
  const std::string response = socket.ReadResponse();
  sender.join();
  EXPECT_EQ(response.substr(response.find("\r\n\r\n") + 4), "POST / " + body);
}

TEST_F(ServerTest, AnswersFromAnyThreadOnce) {
  HeldExchanges held;
  Serve(held.AsHandler());
  RawSocket socket = Connect();
  socket.Send(kGet);
  const std::shared_ptr<Exchange> exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { exchange->Respond(Response::Text(200, "once")); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(socket.ReadResponse(), EndsWith("\r\n\r\nonce"));
  socket.Send("GET /y HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::shared_ptr<Exchange> next = held.Take("/y");
  ASSERT_NE(next, nullptr);
  exchange->Respond(Response::Text(200, "late"));
  next->Respond(Response::Text(200, "next"));
  EXPECT_THAT(socket.ReadResponse(), EndsWith("\r\n\r\nnext"));
}

TEST_F(ServerTest, Answers500WhenTheHandlerDoesNot) {
  Serve([](Request request, std::shared_ptr<Exchange> exchange) {
    if (request.target == "/throw") throw std::runtime_error("handler");
    if (request.target == "/bad") {
      exchange->Respond(Response{200, {{"X", "a\r\nSet-Cookie: b"}}, ""});
    }
  });
  RawSocket socket = Connect();
  for (const char* target : {"/drop", "/throw", "/bad"}) {
    socket.Send(fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target));
    const std::string response = socket.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 500 ")) << target;
    EXPECT_THAT(response, HasSubstr(R"("code":13,"status":"INTERNAL")")) << target;
    EXPECT_THAT(response, Not(HasSubstr("Set-Cookie")));
  }
}

TEST_F(ServerTest, AnswersAClientThatClosedItsSendingSide) {
  HeldExchanges held;
  Serve(held.AsHandler());
  RawSocket socket = Connect();
  socket.Send(kGet);
  socket.ShutdownSend();
  const std::shared_ptr<Exchange> exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  exchange->Respond(Response::Text(200, "still here"));
  EXPECT_THAT(socket.ReadAll(), EndsWith("still here"));
}

TEST_F(ServerTest, TellsWhenTheClientWentAway) {
  HeldExchanges held;
  Serve(held.AsHandler());
  RawSocket socket = Connect();
  socket.Send(kGet);
  const std::shared_ptr<Exchange> exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  std::atomic<int> closed{0};
  exchange->OnClosed([&] {
    EXPECT_EQ(loops_.CurrentLoop(), exchange->loop());
    ++closed;
  });
  EXPECT_EQ(closed, 0);
  socket.Reset();
  EXPECT_TRUE(WaitFor([&] { return closed == 1; }));
  EXPECT_TRUE(WaitFor([&] { return server_->Stats().connections_open == 0; }));
  // Set too late: called at once.
  exchange->OnClosed([&] { ++closed; });
  EXPECT_TRUE(WaitFor([&] { return closed == 2; }));
  exchange->Respond(Response::Text(200, "nobody listens"));
}

TEST_F(ServerTest, KnowsThatAClientIsGoneBeforeTheLoopHasReadIt) {
  HeldExchanges held;
  Serve(held.AsHandler());
  // What closes is behind a request that waits for its turn, or alone.
  for (const char* waiting : {"", kGet}) {
    RawSocket socket = Connect();
    socket.Send(kGet);
    const std::shared_ptr<Exchange> exchange = held.Take("/x");
    ASSERT_NE(exchange, nullptr);
    bool was_gone = true;
    std::atomic<bool> is_told{false};
    loops_.RunAndWait(exchange->loop(), [&] {
      exchange->OnClosed([&] { is_told = true; });
      was_gone = exchange->IsClientGone();
      // The loop is busy here, so it reads none of this.
      socket.Send(waiting);
      socket.Close();
      EXPECT_TRUE(exchange->IsClientGone());
      EXPECT_FALSE(is_told);
    });
    EXPECT_FALSE(was_gone);
    EXPECT_TRUE(WaitFor([&] { return is_told.load(); }));
  }
}

TEST_F(ServerTest, DoesNotCallOnClosedAfterTheAnswer) {
  std::atomic<int> closed{0};
  Serve([&](Request, std::shared_ptr<Exchange> exchange) {
    exchange->OnClosed([&] { ++closed; });
    exchange->Respond(Response::Text(200, "x"));
    exchange->OnClosed([&] { ++closed; });
  });
  {
    RawSocket socket = Connect();
    socket.Send(kGet);
    socket.ReadResponse();
  }
  EXPECT_TRUE(WaitFor([&] { return server_->Stats().connections_open == 0; }));
  EXPECT_EQ(closed, 0);
}

TEST_F(ServerTest, SpreadsConnectionsOverTheLoops) {
  std::atomic<int> on_loop[2] = {};
  Serve([&](Request, std::shared_ptr<Exchange> exchange) {
    ++on_loop[exchange->loop()];
    exchange->Respond(Response::Text(200, ""));
  });
  for (int i = 0; i < 4; ++i) {
    RawSocket socket = Connect();
    socket.Send(kGet);
    socket.ReadResponse();
  }
  EXPECT_EQ(on_loop[0], 2);
  EXPECT_EQ(on_loop[1], 2);
}

TEST(ServerStartTest, NamesTheAddressThatItCannotBind) {
  EventLoops loops;
  const Handler handler = [](Request, std::shared_ptr<Exchange>) {};
  const auto first = Server::Start(loops, {}, handler);
  ASSERT_TRUE(first.ok());
  ServerOptions options;
  options.port = (*first)->port();
  const auto second = Server::Start(loops, options, handler);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(fmt::format("127.0.0.1:{}: Address already in use", options.port)));
  options.bind_address = "localhost";
  EXPECT_THAT(std::string(Server::Start(loops, options, handler).status().message()),
              StartsWith("bind_address: "));
}

}  // namespace
}  // namespace penstock::http
