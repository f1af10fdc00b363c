#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "libs/h2/client.h"
#include "libs/h2/server.h"
#include "libs/http/dns.h"
#include "libs/http/event_loops.h"
#include "tests/unit/libs/h2/frames.h"
#include "tests/unit/libs/h2/pipe.h"
#include "tests/unit/libs/http/raw_socket.h"
#include "tests/unit/libs/http/test_certificate.h"

namespace penstock::h2 {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Sends bodies back, and ends when they do.
class Echo final : public StreamHandler {
 public:
  explicit Echo(Stream& stream) : stream_(stream) { stream.SendHead(AnswerHead(), false); }
  void OnHead(Fields, bool) override {}
  void OnData(Chunk data) override { stream_.Write(std::move(data)); }
  void OnEnd(Fields) override { stream_.End(); }
  void OnSent(std::size_t bytes) override { stream_.Consume(bytes); }
  void OnClosed(ErrorCode) override { delete this; }

 private:
  Stream& stream_;
};

// A call whose end another thread waits for.
class Call final : public StreamHandler {
 public:
  void OnHead(Fields, bool) override {}
  void OnData(Chunk data) override {
    body += data.view();
    if (reads) stream->Consume(data.size());
  }
  void OnEnd(Fields) override { has_ended = true; }
  void OnSent(std::size_t) override {}
  void OnClosed(ErrorCode code) override {
    const std::lock_guard lock(mutex_);
    closed_ = code;
    wake_.notify_all();
  }
  ErrorCode Wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(wake_.wait_for(lock, http::kTestDeadline, [this] { return closed_.has_value(); }));
    return closed_.value_or(ErrorCode::kInternalError);
  }
  bool is_closed() {
    const std::lock_guard lock(mutex_);
    return closed_.has_value();
  }

  Stream* stream = nullptr;
  bool reads = true;
  std::string body;
  bool has_ended = false;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<ErrorCode> closed_;
};

class ServerClientTest : public testing::Test {
 protected:
  ~ServerClientTest() override {
    client.reset();
    server.reset();
    dns.Stop();
    loops.Stop();
  }

  void StartServer(ServerOptions options = {}) {
    auto started = Server::Start(loops, std::move(options), [](Stream& stream, Fields, bool end) {
      auto* echo = new Echo(stream);
      stream.SetHandler(echo);
      if (end) stream.End();
    });
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  void MakeClient(ClientOptions options = {}) {
    if (options.addresses.empty()) {
      options.addresses = {"localhost:" + std::to_string(server->port())};
    }
    auto made = Client::Create(loops, dns, std::move(options));
    ASSERT_TRUE(made.ok()) << made.status();
    client = *std::move(made);
  }

  // Starts a call with a body on a loop.
  void Start(Call& call, std::string body, bool end = true, int loop = 0) {
    loops.RunAndWait(loop, [&] {
      call.stream = &client->Open(RequestHead(), false, &call);
      call.stream->Write(Chunk::Copy(body));
      if (end) call.stream->End();
    });
  }

  ErrorCode Send(const std::string& body, std::string* answer = nullptr, int loop = 0) {
    Call call;
    Start(call, body, true, loop);
    const ErrorCode code = call.Wait();
    if (answer != nullptr) *answer = call.body;
    return code;
  }

  absl::Status LastError() {
    absl::Status status;
    loops.RunAndWait(0, [&] { status = client->LastError(); });
    return status;
  }

  http::EventLoops loops{{.threads = 2}};
  http::Dns dns{loops, milliseconds(0)};
  std::unique_ptr<Server> server;
  std::unique_ptr<Client> client;
};

TEST_F(ServerClientTest, CarryCallsOnEveryLoop) {
  StartServer();
  MakeClient();
  for (int i = 0; i < 10; ++i) {
    std::string answer;
    EXPECT_EQ(Send("hello", &answer, i % 2), ErrorCode::kNoError);
    EXPECT_EQ(answer, "hello");
  }
  EXPECT_EQ(server->Stats().requests_total, 10u);
  EXPECT_EQ(server->Stats().connections_total, 2u) << "one a loop";
}

TEST_F(ServerClientTest, CarryLargeBodies) {
  StartServer();
  MakeClient();
  std::string body;
  while (body.size() < 5'000'000) body += std::to_string(body.size());
  std::string answer;
  EXPECT_EQ(Send(body, &answer), ErrorCode::kNoError);
  EXPECT_TRUE(answer == body);
}

TEST_F(ServerClientTest, CarryCallsOverTls) {
  const http::TestCertificates certificates;
  ServerOptions options;
  options.tls = {certificates.server_cert_file(), certificates.server_key_file(), ""};
  StartServer(options);
  ClientOptions trusting;
  trusting.tls.emplace().ca_file = certificates.ca_file();
  MakeClient(trusting);
  std::string body(300'000, 'x');
  std::string answer;
  EXPECT_EQ(Send(body, &answer), ErrorCode::kNoError) << LastError();
  EXPECT_TRUE(answer == body);
  client.reset();
  ClientOptions strange;
  strange.tls.emplace();
  MakeClient(strange);
  EXPECT_EQ(Send("x"), ErrorCode::kConnectionLost);
  EXPECT_THAT(std::string(LastError().message()), HasSubstr("TLS"));
}

TEST_F(ServerClientTest, SayWhyThereIsNoConnection) {
  const http::DeadPort dead;
  ClientOptions options;
  options.addresses = {"127.0.0.1:" + std::to_string(dead.port())};
  MakeClient(options);
  EXPECT_EQ(Send("x"), ErrorCode::kConnectionLost);
  EXPECT_THAT(std::string(LastError().message()),
              HasSubstr("127.0.0.1:" + std::to_string(dead.port())));
  EXPECT_EQ(Send("x"), ErrorCode::kConnectionLost) << "in the pause";
}

TEST_F(ServerClientTest, FindAServerAgainThatWasAway) {
  StartServer();
  const std::uint16_t port = server->port();
  MakeClient();
  EXPECT_EQ(Send("x"), ErrorCode::kNoError);
  Call open;
  Start(open, "x", false);
  server->Stop();
  EXPECT_EQ(open.Wait(), ErrorCode::kConnectionLost);
  server.reset();
  EXPECT_EQ(Send("x"), ErrorCode::kConnectionLost);
  ServerOptions options;
  options.port = port;
  StartServer(options);
  EXPECT_TRUE(http::WaitFor([this] { return Send("x") == ErrorCode::kNoError; }));
}

TEST_F(ServerClientTest, UseTheAddressThatAnswers) {
  StartServer();
  const http::DeadPort dead;
  ClientOptions options;
  options.addresses = {"127.0.0.1:" + std::to_string(dead.port()),
                       "127.0.0.1:" + std::to_string(server->port())};
  MakeClient(options);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Send("x"), ErrorCode::kNoError);
}

TEST_F(ServerClientTest, TakeTurnsOverAllServersOfAName) {
  StartServer();
  ServerOptions beside;
  beside.bind_address = "127.0.0.2";
  beside.port = server->port();
  std::atomic<int> requests = 0;
  const auto second = Server::Start(loops, beside, [&](Stream& stream, Fields, bool) {
    ++requests;
    stream.SetHandler(new Echo(stream));
  });
  ASSERT_TRUE(second.ok()) << second.status();
  // Nobody listens at the third.
  http::Dns names(loops, milliseconds(1'000), 1, [](const std::string&) {
    return http::Dns::Addresses{"127.0.0.1", "127.0.0.3", "127.0.0.2"};
  });
  ClientOptions options;
  options.addresses = {"replicas:" + std::to_string(server->port())};
  client = *Client::Create(loops, names, std::move(options));
  ASSERT_EQ(Send("x"), ErrorCode::kNoError);
  ASSERT_TRUE(http::WaitFor([&] {
    EXPECT_EQ(Send("x"), ErrorCode::kNoError);
    return requests > 0;
  }));
  const auto first_before = server->Stats().requests_total;
  const int second_before = requests;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Send("x"), ErrorCode::kNoError);
  EXPECT_EQ(server->Stats().requests_total - first_before, 10u);
  EXPECT_EQ(requests - second_before, 10);
  EXPECT_EQ(server->Stats().connections_total, 1u);
  // One of them goes: the other one serves all.
  (*second)->Stop();
  EXPECT_TRUE(http::WaitFor([&] { return Send("x") == ErrorCode::kNoError; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Send("x"), ErrorCode::kNoError);
  client.reset();
  names.Stop();
}

TEST_F(ServerClientTest, EndOpenStreamsInPeaceInADrain) {
  StartServer();
  MakeClient();
  Call open;
  Start(open, "x", false);
  ASSERT_TRUE(http::WaitFor([this] { return server->Stats().requests_total == 1; }));
  EXPECT_FALSE(server->Drain(milliseconds(50)));
  EXPECT_FALSE(open.is_closed());
  loops.RunAndWait(0, [&] { open.stream->End(); });
  EXPECT_EQ(open.Wait(), ErrorCode::kNoError);
  EXPECT_EQ(open.body, "x");
  EXPECT_TRUE(server->Drain(http::kTestDeadline));
}

TEST_F(ServerClientTest, OpenAnotherConnectionForMoreStreams) {
  ServerOptions few;
  few.session.streams_max = 2;
  StartServer(few);
  MakeClient();
  ASSERT_EQ(Send("x"), ErrorCode::kNoError);
  Call calls[6];
  for (Call& call : calls) Start(call, "x", false);
  EXPECT_TRUE(http::WaitFor([this] { return server->Stats().connections_total > 1; }));
  loops.RunAndWait(0, [&] {
    for (Call& call : calls) call.stream->End();
  });
  for (Call& call : calls) EXPECT_EQ(call.Wait(), ErrorCode::kNoError);
}

TEST_F(ServerClientTest, CloseConnectionsThatSayNothing) {
  ServerOptions options;
  options.handshake_timeout = milliseconds(10);
  StartServer(options);
  http::RawSocket silent = http::RawSocket::Connect(server->port());
  http::RawSocket half = http::RawSocket::Connect(server->port());
  half.Send(kPreface.substr(0, 10));
  // Both hear what the server says first, and no more.
  silent.ReadAll();
  half.ReadAll();
  EXPECT_TRUE(http::WaitFor([this] { return server->Stats().connections_open == 0; }));
}

TEST_F(ServerClientTest, SayGoawayToIdleAndOldConnections) {
  for (const bool by_age : {false, true}) {
    ServerOptions options;
    if (by_age) options.age_max = milliseconds(10);
    if (!by_age) options.idle_timeout = milliseconds(10);
    StartServer(options);
    http::RawSocket peer = http::RawSocket::Connect(server->port());
    peer.Send(RawHello());
    EXPECT_THAT(peer.ReadAll(), HasSubstr(Frame(kGoaway, 0, 0, "").substr(3)));
    server.reset();
  }
}

TEST_F(ServerClientTest, ABadPeerHarmsNobodyElse) {
  StartServer();
  MakeClient();
  Call open;
  Start(open, "x", false);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(1000, '\xFF'),
        RawHello() + Frame(kData, 0, 1, "x"), RawHello() + Frame(kRstStream, 0, 0, "1234")}) {
    http::RawSocket peer = http::RawSocket::Connect(server->port());
    peer.Send(bytes);
    peer.ReadAll();
  }
  loops.RunAndWait(0, [&] { open.stream->End(); });
  EXPECT_EQ(open.Wait(), ErrorCode::kNoError);
}

TEST_F(ServerClientTest, APeerThatOnlyAsksIsNotReadForEver) {
  ServerOptions options;
  options.session.idle_frames_burst = 1'000'000'000;
  StartServer(options);
  http::RawSocket peer = http::RawSocket::Connect(server->port(), 4096);
  peer.Send(RawHello());
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Frame(kPing, 0, 0, "12345678");
  // It does not read the answers; at some point the server closes, or stops to read.
  timeval patience{1, 0};
  setsockopt(peer.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  int sent = 0;
  while (sent < 20'000 && peer.Send(pings)) ++sent;
  EXPECT_LT(sent, 20'000);
}

TEST_F(ServerClientTest, EndAllStreamsWhenTheClientStops) {
  StartServer();
  MakeClient();
  Call open;
  Start(open, "x", false);
  client->Stop();
  EXPECT_EQ(open.Wait(), ErrorCode::kConnectionLost);
  Call late;
  loops.RunAndWait(0, [&] { late.stream = &client->Open(RequestHead(), true, &late); });
  EXPECT_EQ(late.Wait(), ErrorCode::kConnectionLost);
}

TEST_F(ServerClientTest, SayWhichAddressIsTaken) {
  StartServer();
  ServerOptions same;
  same.port = server->port();
  const auto second = Server::Start(loops, same, [](Stream&, Fields, bool) {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(same.port)));
}

TEST(ClientOptionsTest, AddressesHaveAPort) {
  http::EventLoops loops;
  http::Dns dns(loops, milliseconds(0));
  for (const char* bad : {"", "host", "host:", ":1", "host:0", "host:70000", "host:1x"}) {
    ClientOptions options;
    options.addresses = {bad};
    EXPECT_FALSE(Client::Create(loops, dns, options).ok()) << bad;
  }
  EXPECT_FALSE(Client::Create(loops, dns, {}).ok());
  dns.Stop();
}

}  // namespace
}  // namespace penstock::h2
