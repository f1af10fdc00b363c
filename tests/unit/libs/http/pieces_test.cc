// Requests and answers in pieces: the server's side, and the client's.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client_stream.h"
#include "libs/http/url.h"
#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Sends the pieces of a request's body back as they come.
class Echo : public std::enable_shared_from_this<Echo> {
 public:
  explicit Echo(std::shared_ptr<StreamExchange> exchange) : exchange_(std::move(exchange)) {}

  void Start() {
    exchange_->SetCallbacks([self = shared_from_this()] { self->Pump(); },
                            [self = shared_from_this()] {
                              self->is_writing_ = false;
                              self->Pump();
                            });
    exchange_->StartPieces({.status = 200, .headers = {}, .content_length = std::nullopt});
    Pump();
  }

 private:
  void Pump() {
    while (!is_writing_) {
      if (exchange_->ReadPieces(pieces_) != Progress::kDone) return;
      const bool is_last = pieces_.is_last;
      const Progress written = exchange_->WritePieces(pieces_);
      is_writing_ = written == Progress::kPending;
      if (is_last || written == Progress::kFailed) return;
    }
  }

  const std::shared_ptr<StreamExchange> exchange_;
  Pieces pieces_;
  bool is_writing_ = false;
};

class PiecesTest : public HttpFixture {
 protected:
  // Requests whose path begins with /stream go to `handler`, all others are echoed whole.
  void ServeStreams(StreamHandler handler, ServerOptions options = {}) {
    options.stream_handler_of = [handler = std::move(handler)](const Request& head) {
      return head.target.starts_with("/stream") ? handler : StreamHandler();
    };
    ServeEcho(std::move(options));
  }
  void ServeStreamEcho(ServerOptions options = {}) {
    ServeStreams(
        [](Request head, std::shared_ptr<StreamExchange> exchange) {
          EXPECT_TRUE(head.body.empty());
          std::make_shared<Echo>(std::move(exchange))->Start();
        },
        std::move(options));
  }
};

TEST_F(PiecesTest, APieceComesBackBeforeTheNextIsSent) {
  ServeStreamEcho();
  RawSocket client = Connect();
  client.Send("POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const char* word : {"one", "two", "three"}) {
    client.Send(fmt::format("{:x}\r\n{}\r\n", std::string_view(word).size(), word));
    EXPECT_THAT(client.ReadUntil(word), EndsWith(word));
  }
  client.Send("0\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
}

TEST_F(PiecesTest, WhatFollowsABodyInPiecesIsTheNextRequest) {
  ServeStreamEcho();
  RawSocket client = Connect();
  client.Send(
      "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("GET /whole "));
}

TEST_F(PiecesTest, HasNoLimitOnTheBody) {
  ServerOptions options;
  options.limits.body_bytes_max = 10;
  ServeStreamEcho(std::move(options));
  const std::string body(3 << 20, 'x');
  RawSocket client = Connect();
  std::thread sender([&] {
    client.Send(fmt::format("POST /stream HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.size()));
    client.Send(body);
  });
  const std::string answer = client.ReadAll();
  sender.join();
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, body.size());
}

TEST_F(PiecesTest, ABodyThatStallsIs408BeforeAnAnswer) {
  ServerOptions options;
  options.timeouts.body_read = std::chrono::milliseconds(30);
  std::atomic<int> closed{0};
  ServeStreams(
      [&](Request, std::shared_ptr<StreamExchange> exchange) {
        exchange->OnClosed([&closed, exchange] { ++closed; });
        exchange->SetCallbacks([] {}, [] {});
        Pieces pieces;
        EXPECT_EQ(exchange->ReadPieces(pieces), Progress::kPending);
      },
      std::move(options));
  RawSocket client = Connect();
  client.Send("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(WaitFor([&] { return closed == 1; }));
}

TEST_F(PiecesTest, AnAnswerThatIsAbortedIsCut) {
  ServeStreams([](Request, std::shared_ptr<StreamExchange> exchange) {
    exchange->StartPieces({.status = 200, .headers = {}, .content_length = 10});
    Pieces pieces;
    pieces.Add("half");
    EXPECT_EQ(exchange->WritePieces(pieces), Progress::kDone);
    exchange->Abort();
  });
  RawSocket client = Connect();
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("half"));
}

TEST_F(PiecesTest, AHandlerThatDropsTheExchangeAnswers500) {
  ServeStreams([](const Request&, const std::shared_ptr<StreamExchange>&) {});
  RawSocket client = Connect();
  client.Send("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 500"));
}

// Asks with pieces of one word, and keeps what comes of it.
class Asker : public ClientStream::Events, public std::enable_shared_from_this<Asker> {
 public:
  void Ask(EventLoops& loops, Client& client, const std::string& url, ClientStreamRequest request,
           std::string body = "") {
    body_ = std::move(body);
    loops.Post(
        0, [self = shared_from_this(), &client, url, request = std::move(request)]() mutable {
          self->stream_ = client.OpenStream(ClientTarget(*ParseUrl(url)), std::move(request), self);
          self->stream_->Start();
        });
  }

  void OnReady() override {
    ++ready;
    Pieces pieces;
    pieces.Add(body_);
    pieces.is_last = true;
    stream_->Write(pieces);
  }
  void OnHead(ClientStreamHead head) override {
    status = head.status;
    OnReadable();
  }
  void OnReadable() override {
    Pieces pieces;
    while (stream_->Read(pieces) == Progress::kDone) {
      for (std::size_t i = 0; i < pieces.count; ++i) answer += pieces.views[i];
      if (!pieces.is_last) continue;
      stream_->Release();
      is_over = true;
      return;
    }
  }
  void OnWritable() override {}
  void OnFailed(const absl::Status& failed) override {
    error = failed;
    is_over = true;
  }

  bool Wait() {
    return WaitFor([this] { return is_over.load(); });
  }

  int ready = 0;
  int status = 0;
  std::string answer;
  absl::Status error;
  std::atomic<bool> is_over{false};

 private:
  std::string body_;
  std::shared_ptr<ClientStream> stream_;
};

ClientStreamRequest RequestTo(std::string method, std::string target) {
  ClientStreamRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.Add("Host", "x");
  return request;
}

TEST_F(PiecesTest, AClientSendsAndTakesPieces) {
  ServeEcho();
  MakeClient();
  for (const bool in_chunks : {false, true}) {
    const auto asker = std::make_shared<Asker>();
    ClientStreamRequest request = RequestTo("POST", "/a?b");
    request.is_chunked = in_chunks;
    if (!in_chunks) request.content_length = 5;
    asker->Ask(loops_, *client_, Url(), std::move(request), "hello");
    ASSERT_TRUE(asker->Wait());
    EXPECT_TRUE(asker->error.ok()) << asker->error;
    EXPECT_EQ(asker->status, 200);
    EXPECT_EQ(asker->answer, "POST /a?b hello");
  }
  EXPECT_EQ(client_->Stats().connections_opened_total, 1u);
}

TEST_F(PiecesTest, AStreamFailsAsARequestDoes) {
  const DeadPort dead;
  MakeClient();
  const auto asker = std::make_shared<Asker>();
  asker->Ask(loops_, *client_, fmt::format("http://127.0.0.1:{}/", dead.port()),
             RequestTo("GET", "/"));
  ASSERT_TRUE(asker->Wait());
  EXPECT_EQ(ReasonOf(asker->error), kConnectFailed);
  EXPECT_EQ(asker->ready, 0);
}

TEST_F(PiecesTest, AKeptConnectionThatTurnsOutClosedIsReplacedOnce) {
  // Answers the first request of a connection and closes at the second.
  const RawServer server([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer.ReadUntil("\r\n\r\n");
  });
  MakeClient();
  for (int i = 0; i < 3; ++i) {
    const auto asker = std::make_shared<Asker>();
    ClientStreamRequest request = RequestTo("GET", "/");
    request.is_idempotent = true;
    asker->Ask(loops_, *client_, server.Url(), std::move(request));
    ASSERT_TRUE(asker->Wait());
    EXPECT_TRUE(asker->error.ok()) << asker->error;
    EXPECT_EQ(asker->answer, "ok");
    EXPECT_EQ(asker->ready, i == 0 ? 1 : 2);
  }
  const auto unsafe = std::make_shared<Asker>();
  unsafe->Ask(loops_, *client_, server.Url(), RequestTo("POST", "/"));
  ASSERT_TRUE(unsafe->Wait());
  EXPECT_EQ(ReasonOf(unsafe->error), kConnectionLost);
  EXPECT_EQ(unsafe->ready, 1);
  client_->Stop();
}

TEST_F(PiecesTest, AnAnswerThatStallsBehindItsHeadTimesOut) {
  const RawServer server([](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    peer.ReadAll();
  });
  MakeClient();
  const auto asker = std::make_shared<Asker>();
  ClientStreamRequest request = RequestTo("GET", "/");
  request.response_timeout = std::chrono::hours(1);
  request.idle_timeout = std::chrono::milliseconds(30);
  asker->Ask(loops_, *client_, server.Url(), std::move(request));
  ASSERT_TRUE(asker->Wait());
  EXPECT_EQ(asker->status, 200);
  EXPECT_EQ(ReasonOf(asker->error), kResponseTimeout);
  EXPECT_THAT(std::string(asker->error.message()), HasSubstr("sent no byte of the answer"));
}

}  // namespace
}  // namespace penstock::http
