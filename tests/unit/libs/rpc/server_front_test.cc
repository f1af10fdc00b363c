// What a ServerFront does with clients that are not ours: gRPC's own, and some that break the
// rules.
#include "libs/rpc/server_front.h"

#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "libs/h2/grpc_wire.h"
#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using Handlers = BidiServerHandlers<Numbers, Numbers>;

std::string Message(std::int64_t number) {
  Numbers numbers;
  numbers.add_numbers(number);
  std::string bytes;
  h2::AppendGrpcMessage(bytes, numbers.SerializeAsString());
  return bytes;
}

std::string EchoMessage(const std::string& text) {
  EchoRequest request;
  request.set_text(text);
  std::string bytes;
  h2::AppendGrpcMessage(bytes, request.SerializeAsString());
  return bytes;
}

h2::Fields HeadOf(const std::string& method) {
  h2::Fields head;
  head.Add(":method", "POST");
  head.Add(":scheme", "http");
  head.Add(":path", method);
  head.Add(":authority", "test");
  head.Add("te", "trailers");
  head.Add("content-type", "application/grpc");
  return head;
}

// A client that sends what a test says, and no more.
class RawCall final : public h2::StreamHandler {
 public:
  explicit RawCall(http::EventLoops& loops) : loops_(loops) {}

  void Open(h2::Client& client, h2::Fields head) {
    loops_.RunAndWait(0, [&] { stream_ = &client.Open(std::move(head), false, this); });
  }
  void Send(const std::string& bytes) {
    loops_.RunAndWait(0, [&] {
      if (stream_ != nullptr) stream_->Write(h2::Chunk::Copy(bytes));
    });
  }
  void HalfClose() {
    loops_.RunAndWait(0, [&] {
      if (stream_ != nullptr) stream_->End();
    });
  }
  void Reset() {
    loops_.RunAndWait(0, [&] {
      if (stream_ != nullptr) std::exchange(stream_, nullptr)->Reset(h2::ErrorCode::kCancel);
    });
  }
  // The status of the answer.
  h2::GrpcStatus Status() { return Await(status_); }
  std::size_t received() const { return received_; }

  // Leaves what comes unread.
  bool reads = true;

 private:
  void OnHead(h2::Fields head, bool end) override {
    if (end) Conclude(head);
  }
  void OnData(h2::Chunk data) override {
    received_ += data.size();
    if (reads) stream_->Consume(data.size());
  }
  void OnEnd(h2::Fields trailers) override { Conclude(trailers); }
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode code) override {
    stream_ = nullptr;
    if (!std::exchange(has_status_, true)) {
      status_.set_value({h2::GrpcCodeOf(code), "the stream was closed", ""});
    }
  }
  void Conclude(const h2::Fields& fields) {
    if (std::exchange(has_status_, true)) return;
    status_.set_value(h2::GrpcStatusOf(fields).value_or(
        h2::GrpcStatus{absl::StatusCode::kUnknown, "no status", ""}));
  }

  http::EventLoops& loops_;
  h2::Stream* stream_ = nullptr;
  std::promise<h2::GrpcStatus> status_;
  bool has_status_ = false;
  std::atomic<std::size_t> received_{0};
};

class ServerFrontTest : public EchoTest {
 protected:
  ServerFrontTest() : dns_(loops_, std::chrono::seconds(1), 1) {
    h2::ClientOptions options;
    options.addresses = {host_->address()};
    client_ = h2::Client::Create(loops_, dns_, std::move(options)).value();
    service_.on_exchange = [this](const std::shared_ptr<NumbersServer>& stream) {
      Handlers handlers;
      handlers.on_message = [this](Numbers& message) { numbers_ += message.numbers_size(); };
      handlers.on_half_close = [this, stream] {
        half_closes_++;
        stream->Finish(absl::OkStatus());
      };
      handlers.on_done = [this](const absl::Status& status) { ended_.set_value(status); };
      return handlers;
    };
  }
  ~ServerFrontTest() override {
    // The handlers refer to this.
    host_->Stop(std::chrono::seconds(5));
    client_->Stop();
    dns_.Stop();
  }

  // Opens the stream, sends `bytes`, and gives the status that comes back.
  h2::GrpcStatus AnswerTo(const std::string& bytes, bool half_closes = false) {
    RawCall call(loops_);
    call.Open(*client_, HeadOf(kExchange));
    call.Send(bytes);
    if (half_closes) call.HalfClose();
    h2::GrpcStatus status = call.Status();
    client_->Stop();  // So that nothing calls the handler any more.
    return status;
  }

  http::Dns dns_;
  std::unique_ptr<h2::Client> client_;
  std::atomic<int> numbers_{0};
  std::atomic<int> half_closes_{0};
  std::promise<absl::Status> ended_;
};
INSTANTIATE_TEST_SUITE_P(Over, ServerFrontTest, ::testing::Values(Transport::kFront),
                         TransportName);

// Where Echo is served on the loops too.
class UnaryFrontTest : public ServerFrontTest {};
INSTANTIATE_TEST_SUITE_P(Over, UnaryFrontTest, ::testing::Values(Transport::kWire), TransportName);

TEST_P(UnaryFrontTest, AnAnswerNeedsOneMessageAndNoMore) {
  RawCall whole(loops_);
  whole.Open(*client_, HeadOf(kEcho));
  for (const char byte : EchoMessage("hello")) whole.Send(std::string(1, byte));
  EXPECT_EQ(whole.Status().code, absl::StatusCode::kOk);
  EXPECT_EQ(whole.received(), EchoMessage("hello").size());
  RawCall twice(loops_);
  twice.Open(*client_, HeadOf(kEcho));
  twice.Send(EchoMessage("a") + EchoMessage("bc"));
  EXPECT_EQ(twice.Status().code, absl::StatusCode::kOk);
  EXPECT_EQ(twice.received(), EchoMessage("a").size()) << "the first counts";
  RawCall none(loops_);
  none.Open(*client_, HeadOf(kEcho));
  none.HalfClose();
  const h2::GrpcStatus status = none.Status();
  EXPECT_EQ(status.code, absl::StatusCode::kInternal);
  EXPECT_EQ(status.message, "the request has no message");
  client_->Stop();
}

TEST_P(UnaryFrontTest, WhatIsNoMessageIsRefused) {
  std::string garbage;
  h2::AppendGrpcMessage(garbage, "\x0f\xff");
  std::string flagged = EchoMessage("x");
  flagged[0] = 1;            // Compressed, by what no field says.
  std::list<RawCall> calls;  // Until the client has stopped.
  for (const std::string& bytes : {garbage, flagged}) {
    RawCall& call = calls.emplace_back(loops_);
    call.Open(*client_, HeadOf(kEcho));
    call.Send(bytes);
    EXPECT_EQ(call.Status().code, absl::StatusCode::kInternal);
  }
  client_->Stop();
}

TEST_P(UnaryFrontTest, AResetReachesTheHandler) {
  std::promise<void> called;
  std::promise<void> cancelled;
  std::optional<ServerDone> kept;
  service_.on_echo = [&](const EchoRequest&, EchoResponse*, CallContext& call,
                         const ServerDone& done) {
    kept = done;
    call.cancellation()->Subscribe([&] { cancelled.set_value(); });
    called.set_value();
  };
  RawCall call(loops_);
  call.Open(*client_, HeadOf(kEcho));
  call.Send(EchoMessage("hello"));
  Await(called);
  call.Reset();
  Await(cancelled);
  (*kept)(absl::OkStatus());  // Harms nothing.
  kept.reset();
  client_->Stop();
}

TEST_P(ServerFrontTest, MessagesMayComeInAnyPieces) {
  RawCall call(loops_);
  call.Open(*client_, HeadOf(kExchange));
  for (const char byte : Message(1) + Message(2)) call.Send(std::string(1, byte));
  call.HalfClose();
  EXPECT_EQ(call.Status().code, absl::StatusCode::kOk);
  EXPECT_TRUE(Await(ended_).ok());
  EXPECT_EQ(numbers_, 2);
  client_->Stop();
}

TEST_P(ServerFrontTest, AStreamMayEndWithoutAMessage) {
  EXPECT_EQ(AnswerTo("", /*half_closes=*/true).code, absl::StatusCode::kOk);
  EXPECT_EQ(half_closes_, 1);
}

TEST_P(ServerFrontTest, AnUnknownFlagEndsTheStream) {
  EXPECT_EQ(AnswerTo(Message(1) + std::string("\x02\0\0\0\0", 5)).code,
            absl::StatusCode::kInternal);
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(numbers_, 1) << "what came before counts";
}

TEST_P(ServerFrontTest, ACompressedMessageWithoutAnEncodingEndsTheStream) {
  EXPECT_EQ(AnswerTo(std::string("\x01\0\0\0\0", 5)).code, absl::StatusCode::kInternal);
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
}

TEST_P(ServerFrontTest, ATooLargeMessageIsRefusedByItsPrefix) {
  EXPECT_EQ(AnswerTo(std::string("\0\x00\x80\x00\x01", 5)).code,
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
}

TEST_P(ServerFrontTest, WhatIsNoMessageEndsTheStream) {
  std::string bytes;
  h2::AppendGrpcMessage(bytes, "\xff\xff\xff");
  EXPECT_EQ(AnswerTo(bytes).code, absl::StatusCode::kInternal);
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
}

TEST_P(ServerFrontTest, AnIncompleteMessageAtTheEndIsNoEnd) {
  EXPECT_EQ(AnswerTo(Message(1).substr(0, 6), /*half_closes=*/true).code,
            absl::StatusCode::kInternal);
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
}

TEST_P(ServerFrontTest, AResetEndsTheStream) {
  RawCall call(loops_);
  call.Open(*client_, HeadOf(kExchange));
  call.Send(Message(1));
  ASSERT_TRUE(Eventually([&] { return numbers_ == 1; }));
  call.Reset();
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
}

TEST_P(ServerFrontTest, AMalformedTimeoutIsRefused) {
  h2::Fields head = HeadOf(kExchange);
  head.Add("grpc-timeout", "soon");
  RawCall call(loops_);
  call.Open(*client_, std::move(head));
  EXPECT_EQ(call.Status().code, absl::StatusCode::kInvalidArgument);
  client_->Stop();
}

TEST_P(ServerFrontTest, AClientThatDoesNotReadStopsTheWriter) {
  constexpr std::size_t kNumbers = 10'000;
  std::atomic<int> fills = 0;
  std::promise<std::shared_ptr<NumbersServer>> started;
  service_.on_exchange = [&](const std::shared_ptr<NumbersServer>& stream) {
    Handlers handlers;
    // There is always something to say.
    handlers.fill = [&](Numbers& message) {
      fills++;
      for (std::size_t i = 0; i < kNumbers; ++i) message.add_numbers(-1);
      return true;
    };
    handlers.on_message = [](Numbers&) {};
    handlers.on_half_close = [] {};
    handlers.on_done = [&](const absl::Status& status) { ended_.set_value(status); };
    started.set_value(stream);
    return handlers;
  };
  RawCall call(loops_);
  call.reads = false;
  call.Open(*client_, HeadOf(kExchange));
  const auto stream = Await(started);
  // The client's window (128 KiB), the bytes that may wait (256 KiB), and a message.
  Numbers one;
  for (std::size_t i = 0; i < kNumbers; ++i) one.add_numbers(-1);
  const int fills_max = static_cast<int>(384 * 1024 / one.ByteSizeLong()) + 2;
  ASSERT_TRUE(Eventually([&] { return call.received() >= 128 * 1024; }));
  for (int i = 0; i < 100; ++i) stream->Notify();
  loops_.RunAndWait(0, [] {});
  loops_.RunAndWait(1, [] {});
  EXPECT_LE(fills, fills_max);
  // And it does not hold up the stop.
  const auto before = std::chrono::steady_clock::now();
  host_->Stop(std::chrono::milliseconds(100));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  EXPECT_EQ(Await(ended_).code(), absl::StatusCode::kCancelled);
  client_->Stop();
}

TEST_P(ServerFrontTest, CompressedStreamsAreServedToo) {
  auto stub = penstock::testing::EchoService::NewStub(channel_);
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  const auto stream = stub->Exchange(&context);
  Numbers message;
  for (int i = 0; i < 10'000; ++i) message.add_numbers(7);
  EXPECT_TRUE(stream->Write(message));
  EXPECT_TRUE(stream->WritesDone());
  Numbers answer;
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(numbers_, 10'000);
}

TEST_P(ServerFrontTest, WhatIsNoGrpcIsNotServed) {
  h2::Fields head;
  head.Add(":method", "GET");
  head.Add(":scheme", "http");
  head.Add(":path", kExchange);
  head.Add(":authority", "test");
  RawCall call(loops_);
  call.Open(*client_, std::move(head));
  call.HalfClose();
  EXPECT_NE(call.Status().code, absl::StatusCode::kOk);
  client_->Stop();
}

TEST_P(ServerFrontTest, TheServerKnowsItsCaller) {
  std::promise<std::string> peer;
  service_.on_exchange = [&](const std::shared_ptr<NumbersServer>& stream) {
    peer.set_value(stream->context().peer());
    stream->Finish(absl::OkStatus());
    return Handlers();
  };
  EXPECT_EQ(AnswerTo("").code, absl::StatusCode::kOk);
  const std::string name = Await(peer);
  EXPECT_TRUE(name.starts_with("ipv4:127.0.0.1:")) << name;
}

}  // namespace
}  // namespace penstock::rpc
