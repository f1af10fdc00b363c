// Streams and stopping.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <future>
#include <thread>

#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kGet[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

class ServerStreamTest : public HttpFixture {
 protected:
  // Sends `request` and returns its exchange.
  std::shared_ptr<Exchange> Begin(RawSocket& socket, const std::string& request = kGet) {
    socket.Send(request);
    return held_.Take("/x");
  }

  HeldExchanges held_;
};

TEST_F(ServerStreamTest, SendsChunksAsTheyAreWritten) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {{"Content-Type", "text/event-stream"}});
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  std::promise<absl::Status> written;
  exchange->Write("data: 1\n\n", [&](const absl::Status& status) { written.set_value(status); });
  EXPECT_EQ(socket.ReadUntil("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  EXPECT_TRUE(written.get_future().get().ok());
  exchange->Write("", nullptr);
  exchange->Write(std::string(300, 'x'), nullptr);
  EXPECT_EQ(socket.ReadUntil("x\r\n"), "12c\r\n" + std::string(300, 'x') + "\r\n");
  exchange->End();
  EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "0\r\n\r\n");
  const auto next = Begin(socket);
  ASSERT_NE(next, nullptr) << "the connection lives on";
  next->Respond(Response::Text(200, "next"));
  EXPECT_THAT(socket.ReadResponse(), EndsWith("next"));
}

TEST_F(ServerStreamTest, StreamsFromInsideTheHandler) {
  Serve([](Request, std::shared_ptr<Exchange> exchange) {
    exchange->StartStream(200, {});
    exchange->Write("a", nullptr);
    exchange->Write("b", nullptr);
    exchange->End();
  });
  RawSocket socket = Connect();
  socket.Send(std::string(kGet) + kGet);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(socket.ReadUntil("0\r\n\r\n"), EndsWith("1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
  }
}

TEST_F(ServerStreamTest, EndsAnHttp10StreamByClosing) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {});
  exchange->Write("plain", nullptr);
  exchange->End();
  const std::string response = socket.ReadAll();
  EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(response, EndsWith("\r\n\r\nplain"));
}

TEST_F(ServerStreamTest, ResetsAnHttp10StreamThatIsDropped) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  auto exchange = Begin(socket, "GET /x HTTP/1.0\r\n\r\n");
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {});
  exchange->Write("part", nullptr);
  EXPECT_THAT(socket.ReadUntil("part"), EndsWith("part"));
  exchange.reset();
  // An ordinary end would make the part a whole.
  char byte = 0;
  EXPECT_EQ(recv(socket.fd(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ServerStreamTest, SendsNoChunksToHead) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {});
  exchange->Write("unseen", nullptr);
  exchange->End();
  socket.ReadUntil("\r\n\r\n");
  const auto next = Begin(socket);
  ASSERT_NE(next, nullptr);
  next->Respond(Response::Text(200, ""));
  EXPECT_THAT(socket.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(ServerStreamTest, CutsAStreamThatIsDropped) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {});
  exchange->Write("part", nullptr);
  socket.ReadUntil("part\r\n");
  exchange.reset();
  EXPECT_EQ(socket.ReadAll(), "") << "no last chunk, so the client sees that it is cut";
}

TEST_F(ServerStreamTest, HoldsBackForASlowClientAndBoundsMemory) {
  ServerOptions options;
  options.limits.stream_bytes_max = 256 * 1024;
  Serve(held_.AsHandler(), options);
  RawSocket socket = Connect();
  const auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  exchange->StartStream(200, {});
  std::atomic<int> written{0};
  std::atomic<int> refused{0};
  int writes = 0;
  const auto write = [&] {
    ++writes;
    exchange->Write(std::string(63 * 1024, 'z'),
                    [&](const absl::Status& status) { ++(status.ok() ? written : refused); });
  };
  // The kernel takes some megabytes, until one write stays behind.
  do {
    write();
  } while (WaitFor([&] { return written == writes; }, 300ms) && writes < 5000);
  ASSERT_EQ(written, writes - 1);
  EXPECT_EQ(refused, 0);
  for (int i = 0; i < 3; ++i) write();
  EXPECT_EQ(refused, 0) << "256 KiB may wait";
  for (int i = 0; i < 10; ++i) write();
  EXPECT_TRUE(WaitFor([&] { return refused == 10; }));
  std::thread reader([&] { socket.ReadUntil("0\r\n\r\n"); });
  EXPECT_TRUE(WaitFor([&] { return written + refused == writes; }))
      << "what waits is written when the client reads on";
  EXPECT_EQ(refused, 10);
  exchange->End();
  reader.join();
}

TEST_F(ServerStreamTest, TellsTheWriterThatTheClientIsGone) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  std::atomic<bool> closed{false};
  exchange->OnClosed([&] { closed = true; });
  exchange->StartStream(200, {});
  socket.ReadUntil("\r\n\r\n");
  socket.Close();
  EXPECT_TRUE(WaitFor([&] { return closed.load(); }));
  std::promise<absl::Status> written;
  exchange->Write("late", [&](const absl::Status& status) { written.set_value(status); });
  EXPECT_EQ(written.get_future().get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerStreamTest, RefusesChunksOutsideAStream) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  std::promise<absl::Status> written;
  exchange->Write("x", [&](const absl::Status& status) { written.set_value(status); });
  EXPECT_EQ(written.get_future().get().code(), absl::StatusCode::kFailedPrecondition);
  exchange->Respond(Response::Text(200, "whole"));
  exchange->StartStream(200, {});
  EXPECT_THAT(socket.ReadResponse(), EndsWith("\r\n\r\nwhole"));
}

TEST_F(ServerStreamTest, DrainFinishesWhatIsInFlight) {
  Serve(held_.AsHandler());
  RawSocket idle = Connect();
  const auto warm_up = Begin(idle);
  ASSERT_NE(warm_up, nullptr);
  warm_up->Respond(Response::Text(200, ""));
  idle.ReadResponse();
  RawSocket busy = Connect();
  const auto exchange = Begin(busy);
  ASSERT_NE(exchange, nullptr);
  auto drained = std::async(std::launch::async, [&] { return server_->Drain(kTestDeadline); });
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_EQ(drained.wait_for(0ms), std::future_status::timeout);
  exchange->Respond(Response::Text(200, "last"));
  const std::string response = busy.ReadAll();
  EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(response, EndsWith("last"));
  EXPECT_TRUE(drained.get());
}

TEST_F(ServerStreamTest, DrainClosesAConnectionWhoseAnswerWasOnItsWay) {
  Serve([](Request, std::shared_ptr<Exchange> exchange) {
    exchange->Respond(Response::Text(200, std::string(32 * 1024 * 1024, 'a')));
  });
  RawSocket socket = Connect();
  socket.Send(kGet);
  socket.ReadUntil("\r\n\r\n");
  auto drained = std::async(std::launch::async, [&] { return server_->Drain(kTestDeadline); });
  EXPECT_EQ(drained.wait_for(20ms), std::future_status::timeout);
  EXPECT_EQ(socket.ReadAll().size(), 32U * 1024 * 1024);
  EXPECT_TRUE(drained.get());
}

TEST_F(ServerStreamTest, DrainGivesUpAtItsDeadlineAndStopCloses) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  const auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  std::atomic<bool> closed{false};
  exchange->OnClosed([&] { closed = true; });
  EXPECT_FALSE(server_->Drain(20ms));
  server_->Stop();
  server_->Stop();
  EXPECT_EQ(socket.ReadAll(), "");
  EXPECT_TRUE(WaitFor([&] { return closed.load(); }));
  exchange->Respond(Response::Text(200, "too late"));
}

TEST_F(ServerStreamTest, StopAcceptingFreesThePort) {
  Serve(held_.AsHandler());
  ServerOptions options;
  options.port = server_->port();
  server_->StopAccepting();
  const auto next = Server::Start(loops_, options, held_.AsHandler());
  EXPECT_TRUE(next.ok()) << next.status();
}

TEST_F(ServerStreamTest, AnExchangeMayOutliveItsServer) {
  Serve(held_.AsHandler());
  RawSocket socket = Connect();
  auto exchange = Begin(socket);
  ASSERT_NE(exchange, nullptr);
  server_.reset();
  exchange->Respond(Response::Text(200, "nobody"));
  exchange.reset();
}

TEST_F(ServerStreamTest, ChildProcessesInheritNoSocket) {
  Serve(held_.AsHandler());
  MakeClient();
  Outcome outcome;
  client_->Send({.url = Url("/x")}, outcome.Capture());
  const auto exchange = held_.Take("/x");
  ASSERT_NE(exchange, nullptr);
  int sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.find("socket:") != 0 && target.find("anon_inode:") != 0) continue;
    const int fd = std::stoi(entry.path().filename().string());
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fd <= 2) continue;
    ++sockets;
    EXPECT_NE(flags & FD_CLOEXEC, 0) << target;
  }
  EXPECT_GE(sockets, 4);
}

}  // namespace
}  // namespace penstock::http
