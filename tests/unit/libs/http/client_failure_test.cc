// What Client::Send ends with when it cannot end well.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "libs/base/status.h"
#include "libs/http/egress.h"
#include "tests/unit/libs/http/http_fixture.h"

namespace penstock::http {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class ClientFailureTest : public HttpFixture {
 protected:
  absl::Status Fail(ClientRequest request) { return Send(std::move(request)).status(); }

  static void ExpectReason(const absl::Status& status, absl::StatusCode code, const char* reason) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(ReasonOf(status), reason) << status;
  }

  // Sends on loop 0 only, so that the pooled connection is found again.
  absl::StatusOr<ClientResponse> SendOnLoop(ClientRequest request) {
    Outcome outcome;
    loops_.Post(0, [&, request = std::move(request)]() mutable {
      client_->Send(std::move(request), outcome.Capture());
    });
    return outcome.Wait();
  }
};

TEST_F(ClientFailureTest, ConnectionRefused) {
  const DeadPort dead;
  MakeClient();
  const absl::Status status = Fail({.url = fmt::format("http://127.0.0.1:{}/", dead.port())});
  ExpectReason(status, absl::StatusCode::kUnavailable, kConnectFailed);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Connection refused"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(dead.port())));
}

TEST_F(ClientFailureTest, ConnectTimeout) {
  // A full backlog: further connections get no answer.
  RawServer server([](RawSocket&, int) {});
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<int> fill;
  for (int i = 0; i < 8; ++i) {
    fill.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connect(fill.back(), reinterpret_cast<sockaddr*>(&address), size);
  }
  MakeClient();
  ExpectReason(Fail({.url = fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port)),
                     .connect_timeout = 50ms}),
               absl::StatusCode::kUnavailable, kConnectTimeout);
  ExpectReason(
      Fail({.url = fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port)), .timeout = 50ms}),
      absl::StatusCode::kUnavailable, kConnectTimeout);
  for (const int fd : fill) close(fd);
  close(listener);
}

TEST_F(ClientFailureTest, UnknownName) {
  MakeClient();
  ExpectReason(Fail({.url = "http://no-such-host.invalid/"}), absl::StatusCode::kUnavailable,
               kDnsFailed);
}

TEST_F(ClientFailureTest, ResponseTimeout) {
  HeldExchanges held;
  Serve(held.AsHandler());
  MakeClient();
  ExpectReason(Fail({.url = Url(), .timeout = 50ms}), absl::StatusCode::kDeadlineExceeded,
               kResponseTimeout);
  const auto exchange = held.Take("/");
  ASSERT_NE(exchange, nullptr);
  std::atomic<bool> closed{false};
  exchange->OnClosed([&] { closed = true; });
  EXPECT_TRUE(WaitFor([&] { return closed.load(); }));
}

TEST_F(ClientFailureTest, ATrickleDoesNotExtendTheTimeout) {
  std::atomic<bool> stop{false};
  RawServer server([&](RawSocket& peer, int) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!stop && peer.Send("x")) std::this_thread::sleep_for(2ms);
  });
  MakeClient();
  ExpectReason(Fail({.url = server.Url(), .timeout = 60ms}), absl::StatusCode::kDeadlineExceeded,
               kResponseTimeout);
  stop = true;
}

TEST_F(ClientFailureTest, QueueTimeout) {
  HeldExchanges held;
  Serve(held.AsHandler());
  MakeClient({.connections_per_host_max = 1});
  Outcome first;
  Outcome second;
  loops_.RunAndWait(0, [&] {
    client_->Send({.url = Url("/1")}, first.Capture());
    client_->Send({.url = Url("/2"), .timeout = 30ms}, second.Capture());
  });
  ExpectReason(second.Wait().status(), absl::StatusCode::kDeadlineExceeded, kQueueTimeout);
  const auto exchange = held.Take("/1");
  ASSERT_NE(exchange, nullptr);
  exchange->Respond(Response::Text(200, "fine"));
  EXPECT_EQ(first.Wait()->body, "fine");
  EXPECT_EQ(held.total(), 1);
}

TEST_F(ClientFailureTest, ConnectionLost) {
  const std::vector<std::string> answers = {
      "", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
  RawServer server([&](RawSocket& peer, int index) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(answers[index]);
  });
  MakeClient();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ExpectReason(Fail({.url = server.Url(), .idempotent = true}), absl::StatusCode::kUnavailable,
                 kConnectionLost);
  }
  EXPECT_EQ(client_->Stats().retries_total, 0U) << "fresh connections are not retried";
}

TEST_F(ClientFailureTest, MalformedResponses) {
  const std::vector<std::string> answers = {
      "nonsense\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n",
  };
  RawServer server([&](RawSocket& peer, int index) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(answers[index]);
    peer.ReadAll();
  });
  MakeClient();
  for (const std::string& answer : answers) {
    const absl::Status status = Fail({.url = server.Url()});
    EXPECT_EQ(ReasonOf(status), kResponseMalformed) << answer.substr(0, 60) << ": " << status;
  }
}

TEST_F(ClientFailureTest, ResponseTooLarge) {
  const std::vector<std::string> answers = {
      "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n01234567890",
      "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
  };
  RawServer server([&](RawSocket& peer, int index) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send(answers[index]);
    peer.ReadAll();
  });
  MakeClient();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ExpectReason(Fail({.url = server.Url(), .response_bytes_max = 10}),
                 absl::StatusCode::kResourceExhausted, kResponseTooLarge);
  }
}

TEST_F(ClientFailureTest, NoticesAPooledConnectionThatWasClosed) {
  std::atomic<int> connections{0};
  RawServer server([&](RawSocket& peer, int) {
    ++connections;
    peer.ReadUntil("\r\n\r\n");
    peer.Send(kOk);
  });
  MakeClient({.connections_per_host_max = 1});
  // The server closes after each answer without saying so; the next request must not run into it.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(SendOnLoop({.method = "POST", .url = server.Url(), .idempotent = true}).ok());
  }
  EXPECT_EQ(connections, 5);
}

TEST_F(ClientFailureTest, ResendsOnceOnlyWhatMayBeSentTwice) {
  std::atomic<int> requests{0};
  RawServer server([&](RawSocket& peer, int) {
    // Answers the first request of a connection and closes on the second without a byte.
    if (peer.ReadUntil("\r\n\r\n").empty()) return;
    ++requests;
    peer.Send(kOk);
    if (!peer.ReadUntil("\r\n\r\n").empty()) ++requests;
  });
  MakeClient({.connections_per_host_max = 1});
  ASSERT_TRUE(SendOnLoop({.url = server.Url()}).ok());
  const auto resent = SendOnLoop({.method = "POST", .url = server.Url(), .idempotent = true});
  ASSERT_TRUE(resent.ok()) << resent.status();
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(client_->Stats().retries_total, 1U);
  ExpectReason(SendOnLoop({.method = "POST", .url = server.Url()}).status(),
               absl::StatusCode::kUnavailable, kConnectionLost);
  EXPECT_EQ(requests, 4);
  EXPECT_EQ(client_->Stats().retries_total, 1U);
}

TEST_F(ClientFailureTest, TakesNothingForAnAnswerThatCameBeforeTheRequest) {
  std::atomic<int> connections{0};
  std::atomic<bool> is_idle{false};
  std::atomic<bool> is_sent{false};
  RawServer server([&](RawSocket& peer, int index) {
    ++connections;
    peer.ReadUntil("\r\n\r\n");
    peer.Send(kOk);
    if (index > 0 || !WaitFor([&] { return is_idle.load(); })) return;
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
    is_sent = true;
    peer.ReadAll();
  });
  MakeClient({.connections_per_host_max = 1});
  ASSERT_TRUE(SendOnLoop({.url = server.Url()}).ok());
  Outcome outcome;
  // The loop has not seen yet what waits on the idle connection.
  loops_.Post(0, [&] {
    is_idle = true;
    WaitFor([&] { return is_sent.load(); });
    client_->Send({.url = server.Url()}, outcome.Capture());
  });
  const auto response = outcome.Wait();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "ok");
  EXPECT_EQ(connections, 2);
}

TEST_F(ClientFailureTest, EgressIsAskedAboutTheVeryAddress) {
  ServeEcho();
  std::vector<std::string> asked;
  MakeClient({.egress = [&](const std::string& address, std::uint16_t port) {
    asked.push_back(fmt::format("{} {}", address, port == server_->port()));
    return absl::OkStatus();
  }});
  ASSERT_TRUE(Send({.url = Url()}).ok());
  EXPECT_THAT(asked, ElementsAre("127.0.0.1 true"));
}

TEST_F(ClientFailureTest, EgressRefusesDisguisedAddresses) {
  ServeEcho();
  const EgressPolicy policy = EgressPolicy::Create({}).value();
  MakeClient({.egress = [&policy](const std::string& address, std::uint16_t port) {
    return policy.Check(address, port);
  }});
  for (const char* host : {"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0",
                           "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"}) {
    const absl::Status status = Fail({.url = fmt::format("http://{}:{}/", host, server_->port())});
    ExpectReason(status, absl::StatusCode::kPermissionDenied, kEgressDenied);
    EXPECT_THAT(std::string(status.message()), HasSubstr("egress.allow")) << host;
  }
  EXPECT_EQ(server_->Stats().connections_total, 0U);
}

TEST_F(ClientFailureTest, CancelEndsARequestWhereverItIs) {
  HeldExchanges held;
  Serve(held.AsHandler());
  MakeClient({.connections_per_host_max = 1});
  Outcome sent;
  Outcome queued;
  std::shared_ptr<Cancelable> cancel_sent;
  std::shared_ptr<Cancelable> cancel_queued;
  loops_.RunAndWait(0, [&] {
    cancel_sent = client_->Send({.url = Url("/sent")}, sent.Capture());
    cancel_queued = client_->Send({.url = Url("/queued")}, queued.Capture());
  });
  const auto exchange = held.Take("/sent");
  ASSERT_NE(exchange, nullptr);
  cancel_queued->Cancel();
  ExpectReason(queued.Wait().status(), absl::StatusCode::kCancelled, kCanceled);
  std::atomic<bool> closed{false};
  exchange->OnClosed([&] { closed = true; });
  cancel_sent->Cancel();
  cancel_sent->Cancel();
  ExpectReason(sent.Wait().status(), absl::StatusCode::kCancelled, kCanceled);
  EXPECT_TRUE(WaitFor([&] { return closed.load(); })) << "the server sees the connection close";
  loops_.RunAndWait(0, [] {});
  EXPECT_EQ(sent.calls(), 1);
  EXPECT_EQ(queued.calls(), 1);
}

// Whoever sends the next attempt when the last one was given up relies on it.
TEST_F(ClientFailureTest, TheConnectionIsClosedBeforeTheEndIsTold) {
  MakeClient();
  for (const bool cancels : {true, false}) {
    std::atomic<int> fd{-1};
    std::atomic<bool> is_over{false};
    std::atomic<bool> was_closed{false};
    RawServer server([&](RawSocket& peer, int) {
      peer.ReadUntil("\r\n\r\n");
      fd = peer.fd();
      EXPECT_TRUE(WaitFor([&] { return is_over.load(); }));
    });
    const auto handle =
        client_->Send({.url = server.Url(), .timeout = cancels ? kTestDeadline : 1s},
                      [&](const absl::StatusOr<ClientResponse>& response) {
                        EXPECT_FALSE(response.ok());
                        pollfd socket{fd, POLLRDHUP, 0};
                        was_closed = poll(&socket, 1, 0) == 1;
                        is_over = true;
                      });
    ASSERT_TRUE(WaitFor([&] { return fd >= 0; }));
    if (cancels) handle->Cancel();
    ASSERT_TRUE(WaitFor([&] { return is_over.load(); }));
    EXPECT_TRUE(was_closed) << (cancels ? "cancelled" : "timed out");
  }
}

TEST_F(ClientFailureTest, CancelAfterTheEndDoesNothing) {
  ServeEcho();
  MakeClient();
  Outcome outcome;
  const auto handle = client_->Send({.url = Url()}, outcome.Capture());
  ASSERT_TRUE(outcome.Wait().ok());
  handle->Cancel();
  client_.reset();
  handle->Cancel();
  EXPECT_EQ(outcome.calls(), 1);
}

TEST_F(ClientFailureTest, StopEndsEverything) {
  HeldExchanges held;
  Serve(held.AsHandler());
  MakeClient({.connections_per_host_max = 2});
  std::vector<Outcome> outcomes(6);
  for (Outcome& outcome : outcomes) client_->Send({.url = Url("/x")}, outcome.Capture());
  const auto exchange = held.Take("/x");
  ASSERT_NE(exchange, nullptr);
  client_->Stop();
  for (Outcome& outcome : outcomes) {
    ExpectReason(outcome.Wait().status(), absl::StatusCode::kCancelled, kCanceled);
  }
  ExpectReason(Fail({.url = Url("/late")}), absl::StatusCode::kCancelled, kCanceled);
}

}  // namespace
}  // namespace penstock::http
