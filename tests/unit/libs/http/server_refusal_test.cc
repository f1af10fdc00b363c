// Refusals over real sockets: they must reach the client, in time, and close the connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class ServerRefusalTest : public HttpFixture {};

TEST_F(ServerRefusalTest, AnswersWithAStatusAndCloses) {
  ServeEcho();
  struct Case {
    const char* request;
    const char* status;
    const char* body;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ",
       R"({"code":3,"status":"INVALID_ARGUMENT","message":"Host: missing","details":[]})"},
      {"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 ", R"("status":"INVALID_ARGUMENT")"},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br\r\n\r\n", "HTTP/1.1 400 ",
       R"("code":3,"status":"INVALID_ARGUMENT")"},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz", "HTTP/1.1 400 ",
       R"("status":"INVALID_ARGUMENT")"},
      {"\x16\x03\x01", "HTTP/1.1 400 ", "request line"},
  };
  for (const Case& refused : cases) {
    RawSocket socket = Connect();
    socket.Send(refused.request);
    socket.Send("\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    socket.ShutdownSend();
    const std::string response = socket.ReadAll();
    EXPECT_THAT(response, StartsWith(refused.status)) << refused.request;
    EXPECT_THAT(response, HasSubstr("Connection: close\r\n")) << refused.request;
    EXPECT_THAT(response, HasSubstr(refused.body)) << refused.request;
    EXPECT_EQ(response.find("Date: "), response.rfind("Date: ")) << "answered twice";
  }
  EXPECT_EQ(server_->Stats().requests_total, 0U);
  EXPECT_EQ(server_->Stats().refusals_total, std::size(cases));
}

TEST_F(ServerRefusalTest, AnswersWhatCameBeforeTheRefusedRequest) {
  ServeEcho();
  RawSocket socket = Connect();
  socket.Send("GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(socket.ReadResponse(), EndsWith("GET /first "));
  EXPECT_THAT(socket.ReadResponse(), StartsWith("HTTP/1.1 400 "));
}

TEST_F(ServerRefusalTest, LetsTheSurfaceShapeItsErrors) {
  ServerOptions options;
  options.error_response = [](int http_status, const absl::Status& error) {
    return Response::Text(http_status, "shaped: " + std::string(error.message()));
  };
  ServeEcho(options);
  RawSocket socket = Connect();
  socket.Send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(socket.ReadResponse(), EndsWith("\r\n\r\nshaped: Host: missing"));
}

TEST_F(ServerRefusalTest, ReachesAClientThatStillSendsItsBody) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  ServeEcho(options);
  for (int i = 0; i < 10; ++i) {
    RawSocket socket = Connect();
    // Sends everything before it reads: a reset on the way would destroy the answer.
    const std::string body(4 * 1024 * 1024, 'a');
    EXPECT_TRUE(socket.Send(
        fmt::format("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.size())));
    EXPECT_TRUE(socket.Send(body));
    const std::string response = socket.ReadAll();
    ASSERT_THAT(response, StartsWith("HTTP/1.1 413 "));
    ASSERT_THAT(response, HasSubstr("body: longer than 1000 bytes"));
  }
}

TEST_F(ServerRefusalTest, BoundsWhatItDrops) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  options.limits.drain_bytes_max = 100'000;
  ServeEcho(options);
  RawSocket socket = Connect();
  socket.Send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n");
  const std::string bytes(1024 * 1024, 'a');
  bool is_open = true;
  for (int i = 0; i < 256 && is_open; ++i) is_open = socket.Send(bytes);
  EXPECT_FALSE(is_open) << "256 MiB were read and dropped";
}

TEST_F(ServerRefusalTest, RefusesABodyBeforeAskingForIt) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  ServeEcho(options);
  RawSocket socket = Connect();
  socket.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(socket.ReadResponse(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerRefusalTest, RefusesLongTargetsAndHeaders) {
  ServeEcho();
  RawSocket first = Connect();
  first.Send("GET /" + std::string(20'000, 'a'));
  EXPECT_THAT(first.ReadResponse(), StartsWith("HTTP/1.1 414 "));
  RawSocket second = Connect();
  second.Send("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'a'));
  EXPECT_THAT(second.ReadResponse(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerRefusalTest, GivesUpOnASlowHeader) {
  ServerOptions options;
  options.timeouts.header_read = 50ms;
  ServeEcho(options);
  RawSocket socket = Connect();
  socket.Send("GET / HTTP/1.1\r\n");
  const std::string response = socket.ReadAll();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(response, HasSubstr(R"("status":"DEADLINE_EXCEEDED")"));
}

TEST_F(ServerRefusalTest, AByteNowAndThenDoesNotBuyTime) {
  ServerOptions options;
  options.timeouts.header_read = 100ms;
  ServeEcho(options);
  RawSocket socket = Connect();
  const auto start = std::chrono::steady_clock::now();
  std::thread sender([&socket] {
    socket.Send("GET / HTTP/1.1\r\nX: ");
    // Trickles until the server closes.
    while (socket.Send("a") && std::chrono::steady_clock::now().time_since_epoch().count() != 0) {
      std::this_thread::sleep_for(5ms);
    }
  });
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 408 "));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  server_->Stop();
  sender.join();
}

TEST_F(ServerRefusalTest, GivesUpOnASlowBody) {
  ServerOptions options;
  options.timeouts.body_read = 50ms;
  ServeEcho(options);
  RawSocket socket = Connect();
  socket.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nslow");
  EXPECT_THAT(socket.ReadAll(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerRefusalTest, ClosesSilentConnectionsWithoutAWord) {
  ServerOptions options;
  options.timeouts.header_read = 50ms;
  options.timeouts.idle = 60ms;
  ServeEcho(options);
  RawSocket silent = Connect();
  EXPECT_EQ(silent.ReadAll(), "");
  RawSocket idle = Connect();
  idle.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(idle.ReadResponse(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(idle.ReadAll(), "");
}

TEST_F(ServerRefusalTest, AHandlerMayTakeLongerThanTheTimeouts) {
  HeldExchanges held;
  ServerOptions options;
  options.timeouts.header_read = 20ms;
  options.timeouts.body_read = 20ms;
  options.timeouts.idle = 20ms;
  options.timeouts.write = 20ms;
  Serve(held.AsHandler(), options);
  RawSocket socket = Connect();
  socket.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::shared_ptr<Exchange> exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  loops_.RunAfter(0, 100ms, [&] { exchange->Respond(Response::Text(200, "slow")); });
  EXPECT_THAT(socket.ReadAll(), EndsWith("slow"));
}

TEST_F(ServerRefusalTest, ClosesAClientThatDoesNotRead) {
  ServerOptions options;
  options.timeouts.write = 100ms;
  Serve(
      [](Request, std::shared_ptr<Exchange> exchange) {
        exchange->Respond(Response::Text(200, std::string(64 * 1024 * 1024, 'a')));
      },
      options);
  RawSocket socket = Connect(4096);
  socket.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(WaitFor([&] {
    return server_->Stats().connections_total == 1 && server_->Stats().connections_open == 0;
  }));
}

TEST_F(ServerRefusalTest, Answers503AboveTheConnectionLimit) {
  ServerOptions options;
  options.limits.connections_max = 2;
  ServeEcho(options);
  RawSocket first = Connect();
  RawSocket second = Connect();
  for (RawSocket* socket : {&first, &second}) {
    socket->Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(socket->ReadResponse(), StartsWith("HTTP/1.1 200 "));
  }
  {
    RawSocket third = Connect();
    third.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string response = third.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(response, HasSubstr(R"("code":14,"status":"UNAVAILABLE")"));
  }
  first.Close();
  EXPECT_TRUE(WaitFor([&] { return server_->Stats().connections_open == 1; }));
  RawSocket fourth = Connect();
  fourth.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(fourth.ReadResponse(), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace penstock::http
